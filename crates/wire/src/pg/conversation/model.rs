//! Random sessions against a model of the server's names: whatever the server runs was judged.
//!
//! The model follows `postgres.c`, `prepare.c` and `portalmem.c`; what it is asked is exactly what
//! units forward. A driver permits everything it can read, and refuses at random. It asks the server for
//! its prepared statements where a session would. Code that was permitted may do anything, and so may what
//! it left under a name that the server could not be asked about since; no row of that is told, though.

use super::tests::{Session, bind, close, describe, execute, flush, parse, query, sync, untold};
use super::*;
use crate::pg::script::Script;
use portcullis_core::effect::Verb;
use portcullis_core::protocol::Request as _;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

/// What code puts in the place of everything it can reach.
const LEFT_BY_CODE: &str = "drop evil";

#[derive(Clone)]
struct ServerPortal {
    text: String,
    started: bool,
    nested: bool,
}

/// What the server would do. `Err` is an ErrorResponse.
#[derive(Default)]
struct Server {
    statements: HashMap<String, String>,
    /// Which of them were not prepared by the protocol (`pg_prepared_statements.from_sql`).
    from_sql: HashSet<String>,
    portals: HashMap<String, ServerPortal>,
    /// `I`, `T` or `E`.
    status: char,
    nested: bool,
    /// True while messages are dropped up to `Sync`.
    skipping: bool,
    /// True once code ran, as was permitted.
    ran_code: bool,
    /// What was run in the unit.
    ran: Vec<String>,
    /// What the portals described in the unit stood for then, by step.
    described: HashMap<usize, String>,
    /// What was executed under a description of something else.
    misread: Vec<String>,
    /// Bytes that decide which messages fail.
    fates: Vec<u8>,
}

impl Server {
    fn fate(&mut self) -> u8 {
        let fate = self.fates.pop().unwrap_or(255);
        self.fates.insert(0, fate.wrapping_mul(31).wrapping_add(17));
        fate
    }

    fn error(&mut self) {
        if self.status == 'T' {
            self.status = 'E';
        } else if self.status == 'I' {
            self.portals.clear();
        }
    }

    fn end_transaction(&mut self) {
        (self.status, self.nested) = ('I', false);
        self.portals.clear();
    }

    fn new_portal(&mut self, name: &str, text: &str) -> Result<(), ()> {
        if !name.is_empty() && self.portals.contains_key(name) {
            return Err(());
        }
        let portal = ServerPortal { text: text.into(), started: false, nested: self.nested };
        self.portals.insert(name.into(), portal);
        Ok(())
    }

    fn run(&mut self, text: &str, depth: usize) -> Result<(), ()> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let leaves = matches!(words.first(), Some(&"commit" | &"rollback"));
        if self.status == 'E' && !leaves || depth > 6 || self.fate() < 20 {
            return Err(());
        }
        match words.as_slice() {
            [] => {}
            ["prepare", name, "as", inner @ ..] => {
                if self.statements.contains_key(*name) {
                    return Err(());
                }
                self.statements.insert((*name).into(), inner.join(" "));
                self.from_sql.insert((*name).into());
                // Stored, and then the transaction fails to commit.
                if self.fate() < 20 {
                    return Err(());
                }
            }
            ["execute", name] => {
                let inner = self.statements.get(*name).cloned().ok_or(())?;
                self.run(&inner, depth + 1)?;
            }
            ["deallocate", "all"] => self.statements.retain(|name, _| name.is_empty()),
            ["deallocate", name] => drop(self.statements.remove(*name).ok_or(())?),
            ["declare", name, "for", inner @ ..] if self.status == 'T' => {
                self.new_portal(name, &inner.join(" "))?;
            }
            ["fetch", name] => {
                let inner = self.portals.get(*name).cloned().ok_or(())?;
                self.run(&inner.text, depth + 1)?;
            }
            ["close", "all"] => self.portals.clear(),
            ["close", name] => drop(self.portals.remove(*name).ok_or(())?),
            ["discard", "all"] if self.status == 'I' => {
                self.statements.retain(|name, _| name.is_empty());
                self.portals.clear();
                if self.fate() < 60 {
                    return Err(());
                }
            }
            ["declare" | "discard", ..] => return Err(()),
            ["begin"] => self.status = 'T',
            ["commit" | "rollback"] => self.end_transaction(),
            ["savepoint", _] if self.status == 'T' => self.nested = true,
            ["rollback", "to", _] if self.nested => {
                self.status = 'T';
                self.portals.retain(|_, portal| !portal.nested);
            }
            ["savepoint" | "rollback", ..] => return Err(()),
            ["do", _] => {
                self.ran_code = true;
                for name in ["a", "b", "c"] {
                    self.statements.insert(name.into(), LEFT_BY_CODE.into());
                    self.from_sql.insert(name.into());
                    if self.status == 'T' {
                        self.portals.remove(name);
                        self.new_portal(name, LEFT_BY_CODE)?;
                    }
                }
            }
            _ => self.ran.push(text.to_owned()),
        }
        Ok(())
    }

    /// What a text stands for, once names in it are looked up.
    fn meaning(&self, text: &str, depth: usize) -> String {
        let inner = match text.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["execute", name] => self.statements.get(*name).cloned(),
            ["fetch", name] => self.portals.get(*name).map(|portal| portal.text.clone()),
            _ => None,
        };
        inner.filter(|_| depth < 6).map_or_else(
            || text.to_owned(),
            |inner| format!("{text}: {}", self.meaning(&inner, depth + 1)),
        )
    }

    /// Takes note where the rows of a part would be read by a description of something else.
    fn compare(&mut self, name: &str, part: usize, script: &Script) {
        let Some(portal) = self.portals.get(name) else { return };
        let meaning = self.meaning(&portal.text, 0);
        let governs =
            |step: &Step| matches!(step, Step::DescribePortal { part: Some(p), .. } if *p == part);
        let step = script.steps.iter().position(governs);
        let described = step.and_then(|step| self.described.get(&step));
        if described != Some(&meaning) {
            self.misread.push(format!("{meaning} under {described:?}"));
        }
    }

    fn execute(&mut self, name: &str, rows: u32) -> Result<bool, ()> {
        let portal = self.portals.get(name).cloned().ok_or(())?;
        if !portal.started {
            self.run(&portal.text, 0)?;
        }
        let suspends = rows > 0 && portal.text.starts_with("select") && self.fate() < 200;
        if let Some(portal) = self.portals.get_mut(name) {
            portal.started = true;
        }
        Ok(suspends)
    }

    /// Takes in one message; what it answers, as confirmations.
    fn take(&mut self, n: usize, frame: &Frame, script: &Script) -> Vec<Confirmation> {
        let message = message::decode(frame).unwrap();
        if message == Frontend::Sync {
            self.skipping = false;
            if self.status == 'I' {
                self.end_transaction();
            }
            return vec![Confirmation::Ready(self.status as u8)];
        }
        if let Frontend::Query(text) = &message {
            return self.query(n, text);
        }
        if self.skipping || message == Frontend::Flush {
            return Vec::new();
        }
        let Step::Execute { part } = script.steps[n] else {
            return self
                .told(n, message)
                .map_or_else(|()| self.failed(n), |()| vec![Confirmation::Step(n)]);
        };
        let Frontend::Execute { portal, rows } = message else { panic!("{message:?}") };
        self.compare(&name(&portal), part, script);
        match self.execute(&name(&portal), rows) {
            Ok(true) => vec![Confirmation::Suspended(part)],
            Ok(false) => vec![Confirmation::Part(part, "OK".into())],
            Err(()) => self.failed(n),
        }
    }

    fn failed(&mut self, n: usize) -> Vec<Confirmation> {
        self.error();
        self.skipping = true;
        vec![Confirmation::Failed(n)]
    }

    fn told(&mut self, step: usize, message: Frontend) -> Result<(), ()> {
        let fails = self.fate() < 20;
        match message {
            Frontend::Parse { name: id, text, .. } => {
                let (id, text) = (name(&id), name(&text));
                if id.is_empty() {
                    self.statements.remove("");
                }
                if fails || self.statements.contains_key(&id) {
                    return Err(());
                }
                self.from_sql.remove(&id);
                self.statements.insert(id, text);
            }
            Frontend::Bind { portal, statement, .. } => {
                let text = self.statements.get(&name(&statement)).cloned().ok_or(())?;
                let leaves = text.starts_with("commit") || text.starts_with("rollback");
                if self.status == 'E' && !leaves {
                    return Err(());
                }
                self.new_portal(&name(&portal), &text)?;
            }
            Frontend::Describe(message::Target::Statement, id) => {
                self.statements.get(&name(&id)).map(drop).ok_or(())?;
            }
            Frontend::Describe(message::Target::Portal, id) => {
                let portal = self.portals.get(&name(&id)).ok_or(())?;
                self.described.insert(step, self.meaning(&portal.text, 0));
            }
            Frontend::Close(message::Target::Statement, id) => {
                self.statements.remove(&name(&id));
            }
            Frontend::Close(message::Target::Portal, id) => {
                self.portals.remove(&name(&id));
            }
            other => panic!("{other:?}"),
        }
        if fails { Err(()) } else { Ok(()) }
    }

    fn query(&mut self, n: usize, text: &Bytes) -> Vec<Confirmation> {
        self.statements.remove("");
        self.portals.remove("");
        let mut said = Vec::new();
        for (part, text) in name(text).split(';').filter(|t| !t.trim().is_empty()).enumerate() {
            if self.run(text.trim(), 0).is_err() {
                self.error();
                said.push(Confirmation::Failed(n));
                break;
            }
            said.push(Confirmation::Part(part, "OK".into()));
        }
        if self.status == 'I' {
            self.end_transaction();
        }
        said.push(Confirmation::Ready(self.status as u8));
        said
    }
}

fn name(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let text = prop::sample::select(vec![
        "select t",
        "delete t",
        "drop u",
        "prepare a as delete t",
        "prepare a as select t",
        "prepare b as insert v",
        "execute a",
        "execute b",
        "begin",
        "begin",
        "commit",
        "rollback",
        "savepoint s",
        "rollback to s",
        "discard all",
        "do x",
        "declare c for select w",
        "fetch c",
        "fetch a",
        "select t; delete u",
        "deallocate a",
        "deallocate all",
        "close c",
        "close all",
        "begin; declare a for select t",
        "commit; begin",
        "deallocate a; prepare a as drop u",
    ]);
    let single = text.clone().prop_filter("one statement", |text| !text.contains(';'));
    let id = || prop::sample::select(vec!["", "a", "b", "c"]);
    let kind = prop::sample::select(vec!['S', 'P']);
    prop_oneof![
        2 => text.prop_map(query),
        3 => (id(), single).prop_map(|(id, text)| parse(id, text)),
        4 => (id(), id()).prop_map(|(portal, statement)| bind(portal, statement)),
        2 => (kind.clone(), id()).prop_map(|(kind, id)| describe(kind, id)),
        1 => (kind, id()).prop_map(|(kind, id)| close(kind, id)),
        4 => (id(), 0u8..2).prop_map(|(id, rows)| execute(id, rows)),
        4 => prop::sample::select(vec![sync(), sync(), flush()]),
    ]
}

/// A driver between client and server. Every statement the server runs must be among the effects
/// judged for the unit that was forwarded.
fn drive(stream: &[u8], fates: &[u8], refusals: &[u8]) -> Result<usize, TestCaseError> {
    let mut session = Session::new();
    let mut server = Server { status: 'I', fates: fates.to_vec(), ..Server::default() };
    let mut refusals = refusals.iter().cycle();
    let mut judged = 0;
    session.buffer.extend_from_slice(stream);
    loop {
        if session.conversation.doubts_names(&session.buffer) {
            let own = server.statements.iter().filter(|(name, _)| !server.from_sql.contains(*name));
            session.conversation.settle_prepared(own.map(|(name, text)| (&**name, &**text)));
        }
        let Some(turn) = session.conversation.next(&mut session.buffer).unwrap() else { break };
        let (unit, shape) = match turn {
            Turn::Unit(unit) => (Some(*unit), None),
            Turn::Unformed(unformed) => (None, Some(unformed.shape)),
            Turn::SkippedSync => continue,
            other => panic!("{other:?}"),
        };
        let unit = unit.filter(|unit| {
            let unread = unit.operation().effects.iter().any(|e| e.verb == Verb::Unknown);
            let refused = unread || refusals.next().is_some_and(|fate| *fate < 20);
            if refused {
                refuse(&mut session, &mut server, unit.shape());
            }
            !refused
        });
        if let Some(shape) = shape {
            refuse(&mut session, &mut server, shape);
        }
        let Some(unit) = unit else { continue };
        server.ran.clear();
        server.described.clear();
        let mut wire = BytesMut::from(unit.wire_bytes());
        let mut n = 0;
        while let Some(frame) = message::take(&mut wire, &Limits::default()).unwrap() {
            session.conversation.settle(&server.take(n, &frame, unit.script()));
            n += 1;
        }
        prop_assert_eq!(n, unit.script().steps.len());
        prop_assert!(!session.conversation.in_flight(), "{:?}", unit.script());
        prop_assert_eq!(session.conversation.transaction_status(), server.told_status(&session));
        prop_assert!(server.misread.is_empty(), "{:?}", server.misread);
        for text in &server.ran {
            let known = unit.operation().effects.iter().any(|e| {
                let verb = if e.verb == Verb::Read { "select" } else { e.verb.as_str() };
                format!("{verb} {}", e.object) == *text
            });
            if text == LEFT_BY_CODE && server.ran_code && untold(&unit).contains(&true) {
                continue;
            }
            prop_assert!(known, "ran {text}, judged {}", unit.operation());
            let shown = unit.shown().statements;
            let among = shown.iter().any(|statement| statement.contains(text.as_str()));
            prop_assert!(among, "ran {text}, shown {shown:?}");
            judged += 1;
        }
    }
    Ok(judged)
}

impl Server {
    /// The status the client side may know: that of the last ReadyForQuery.
    fn told_status(&self, session: &Session) -> u8 {
        if session.conversation.pipeline_open() {
            session.conversation.transaction_status()
        } else {
            self.status as u8
        }
    }
}

/// What a driver does on a refusal: where a pipeline is open, the target fails and synchronises.
fn refuse(session: &mut Session, server: &mut Server, shape: Shape) {
    let open = session.conversation.pipeline_open();
    session.conversation.refused(shape);
    if open {
        server.error();
        server.skipping = false;
        if server.status == 'I' {
            server.end_transaction();
        }
        session.conversation.settle(&[Confirmation::Ready(server.status as u8)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn whatever_the_server_runs_was_judged(
        messages in prop::collection::vec(any_message(), 1..60),
        fates in prop::collection::vec(any::<u8>(), 1..20),
        refusals in prop::collection::vec(any::<u8>(), 1..10),
    ) {
        drive(&messages.concat(), &fates, &refusals)?;
    }
}

#[test]
fn the_model_runs_statements() {
    let stream = [parse("a", "delete t"), bind("", "a"), execute("", 0), sync(), query("select t")];
    assert_eq!(drive(&stream.concat(), &[255], &[255]).unwrap(), 2);
}

#[test]
fn what_code_left_is_asked_for() {
    let use_it = [bind("b", "a"), execute("b", 0), sync()];
    let stream = [&[parse("a", "select t"), sync(), query("do x")], &use_it[..]].concat();
    // Nothing ran under the name: only what was prepared by the protocol is known again.
    assert_eq!(drive(&stream.concat(), &[255], &[255]).unwrap(), 0);
}

#[test]
fn what_a_name_prepares_is_shown_by_its_own_text() {
    let prepare = [parse("a", "prepare b as insert v"), sync(), query("execute a")];
    let stream = [&prepare[..], &[bind("", "b"), execute("", 0), sync()]].concat();
    assert_eq!(drive(&stream.concat(), &[255], &[255]).unwrap(), 1);
}
