//! What is masked must not be told, in whatever words it is asked for: non-interference.
//!
//! Two databases are alike but for the values of masked columns. Random statements ([`grammar`]) go
//! through the gateway to both of them. What comes back, rows and errors alike, must be the same byte
//! for byte: where it is not, the answer depends on what the caller may not see. Nothing of the
//! gateway's own reading of a statement is used for that, so a mistake in it has no way to hide.
//!
//! `PORTCULLIS_PROGRAMS=n` runs n queries, a quarter of that of what asks them in other ways, and a tenth of what makes tables, `PORTCULLIS_SEED=s` begins with the seed s. A failure
//! is told by the simplest program that fails. `PORTCULLIS_PROGRAM='statement; statement'` tells what is
//! answered to that one.

mod choices;
mod grammar;
mod tables;
mod templates;
mod ways;

use anyhow::Context as _;
use choices::{Choices, simplest};
use grammar::{How, Kind, Program, Statement};
use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::raw::{Message, RawClient, extended, message, query};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Queries, unless asked otherwise.
const PROGRAMS: u64 = 4000;
const WORKERS: u64 = 4;
/// Programs tried to make a failing one simpler.
const ATTEMPTS: usize = 3000;
/// Failures after which there is no point in going on.
const ENOUGH: usize = 5;

/// Numbers from here on are of what users have made.
const FIRST_OF_USERS: u32 = 16_384;

/// What stands before the reason why there was no answer.
const ENDED: &str = "! ";
const TOO_LONG: &str = "it took too long";

const DATABASES: [&str; 2] = ["left_side", "right_side"];

/// Tables and what is made of them, in a database that the two are copies of.
const DEFINITIONS: &str = include_str!("definitions.sql");
/// What differs between the two.
const SECRETS: [&str; 2] = [include_str!("left.sql"), include_str!("right.sql")];

const SENSITIVE: &str = r#"detectors = []
sensitive = [
  { column = "public.people.email", label = "email", mask = "redact" },
  { column = "public.people.born", mask = "redact" },
  { column = "public.people.pay", mask = "redact" },
  { column = "public.people.tags", mask = "null" },
  { column = "public.people.doc", mask = "redact" },
  { column = "public.people.home", mask = "null" },
  { column = "public.people.kin", mask = "null" },
  { column = "public.bills.note", mask = "redact" },
  { column = "other.a.b", mask = "redact" },
  { column = "public.memos.text", mask = "redact" },
]
"#;

/// Everything may be done but what is about the values themselves.
const POLICY: &str = r#"
@id("everything") permit (principal, action, resource);
@id("hidden") @mask("by-label") @reason("sensitive")
forbid (principal, action == Action::"reveal", resource) when { resource.sensitive };
@id("server-secrets") @mask("null") @reason("values of other columns")
forbid (principal, action == Action::"reveal", resource) when { resource.labels.contains("server-secret") };
@id("no-inference") @reason("masked columns decide nothing")
forbid (principal, action == Action::"infer", resource);
@id("no-code") @reason("nobody knows what it does")
forbid (principal, action == Action::"execute", resource);
@id("no-catalogs") @reason("values of other columns")
forbid (principal, action == Action::"read", resource is Relation) when { resource.schema == "pg_catalog" };
@id("no-unresolved") @reason("nobody knows what it is")
forbid (principal, action in Action::"run", resource is Unknown);
@id("no-unreadable") @reason("nobody knows what it is")
forbid (principal, action in Action::"run", resource) when { context.certainty == "unreadable" };
"#;

fn start() -> Arena {
    let setup = Setup {
        policy: "[policy]\npacks = []\nfiles = [\"interference.cedar\"]\n".to_owned(),
        connection: SENSITIVE.to_owned(),
        // A session must not end by its token in the middle of a long run.
        provider: "token_ttl_seconds = 86400\n".to_owned(),
        // Rows of parallel plans come in any order.
        settings: &[
            "autovacuum = off",
            "log_statement = none",
            "max_parallel_workers_per_gather = 0",
            "statement_timeout = 3s",
        ],
        in_memory: true,
        log: "warn",
        databases: &DATABASES,
        definitions: DEFINITIONS,
        ..Setup::agent_safe()
    };
    let arena = Arena::start_with(&setup, &[("interference.cedar", POLICY)]).unwrap();
    for (database, secrets) in DATABASES.iter().zip(SECRETS) {
        arena.server.sql(database, secrets).unwrap();
    }
    arena
}

/// The same caller at both databases.
struct Pair<'a> {
    arena: &'a Arena,
    clients: [RawClient; 2],
    /// The server's major version.
    version: u32,
}

/// What came of a program.
#[derive(Debug, PartialEq, Eq, Clone, Copy, PartialOrd, Ord)]
enum Outcome {
    /// It was not answered to its end.
    Ended,
    /// The gateway refused (a part of) it.
    Refused,
    /// It was answered by an error of the server.
    Failed,
    /// It was answered, without a row.
    Empty,
    /// It was answered with rows.
    Answered,
}

impl<'a> Pair<'a> {
    fn new(arena: &'a Arena) -> Self {
        Self { arena, clients: clients(arena).unwrap(), version: arena.server.version() }
    }

    /// What both were answered; anew with new sessions, so that nothing is left of an earlier program.
    fn run(&mut self, kind: Kind, program: &Program) -> [Vec<String>; 2] {
        let told = self.clients.each_mut().map(|client| answers(client, kind, program));
        for error in told.iter().filter_map(|told| told.as_ref().err()) {
            eprintln!("{error:#}: {:#?}", program.statements);
        }
        if told.iter().any(Result::is_err) {
            // What comes yet would be taken for answers to the next one.
            self.renew();
        }
        told.map(|told| told.unwrap_or_else(|error| vec![format!("{ENDED}{}", end(&error))]))
    }

    fn renew(&mut self) {
        self.clients = clients(self.arena).unwrap();
    }
}

fn clients(arena: &Arena) -> anyhow::Result<[RawClient; 2]> {
    let log = || std::fs::read_to_string(arena.log_file()).unwrap_or_default();
    let token = arena.token("claude").with_context(log)?;
    let client = |database| RawClient::log_in(arena.postgres, "claude", database, &token);
    Ok([client(DATABASES[0])?, client(DATABASES[1])?])
}

/// Messages of a statement, in rounds that each end in ReadyForQuery.
fn rounds(statement: &Statement, transaction: bool) -> Vec<Vec<u8>> {
    let Statement { text, bound, how } = statement;
    let bound: Vec<Option<String>> = bound.iter().map(|value| Some((*value).to_owned())).collect();
    let sync = message(b'S', b"");
    match how {
        How::Simple => vec![query(text)],
        How::Extended { binary } => {
            vec![[extended(text.as_bytes(), &bound, *binary), sync].concat()]
        }
        How::Portions { binary } => {
            let asked = portions(text, &bound, *binary);
            // Where there is a transaction, a portal is still there behind a Sync.
            let between = if transaction { sync.clone() } else { Vec::new() };
            let rest = [execute(0), message(b'C', b"Pp\0"), sync].concat();
            match transaction {
                true => vec![[asked, between].concat(), rest],
                false => vec![[asked, rest].concat()],
            }
        }
    }
}

/// Runs the portal `p` for so many rows.
fn execute(rows: u32) -> Vec<u8> {
    message(b'E', &[b"p\0".as_slice(), &rows.to_be_bytes()].concat())
}

/// Parse, Bind and Describe of a named statement and a named portal, and the first three rows in two parts.
fn portions(text: &str, bound: &[Option<String>], binary: bool) -> Vec<u8> {
    let mut body = b"p\0s\0\0\0".to_vec();
    body.extend_from_slice(&(bound.len() as u16).to_be_bytes());
    for value in bound.iter().flatten() {
        body.extend_from_slice(&(value.len() as u32).to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    body.extend_from_slice(if binary { &[0, 1, 0, 1] } else { &[0, 0] });
    [
        message(b'C', b"Ss\0"),
        message(b'C', b"Pp\0"),
        message(b'P', &[b"s\0", text.as_bytes(), b"\0\0\0"].concat()),
        message(b'D', b"Ss\0"),
        message(b'B', &body),
        message(b'D', b"Pp\0"),
        execute(1),
        execute(2),
    ]
    .concat()
}

/// Everything that was answered. What a program has begun is undone.
fn answers(client: &mut RawClient, kind: Kind, program: &Program) -> anyhow::Result<Vec<String>> {
    let mut seen = Vec::new();
    let transaction = program.transaction;
    if transaction {
        client.query("BEGIN")?;
    }
    'all: for statement in &program.statements {
        if transaction {
            client.query("SAVEPOINT before")?;
        }
        for round in rounds(statement, transaction) {
            client.send(&round)?;
            seen.extend(client.until(b'Z')?);
            let failed =
                seen.iter().rev().skip(1).take_while(|m| m.tag != b'Z').any(|m| m.tag == b'E');
            if !failed {
                continue;
            }
            // Tables go on without what was refused; of other programs nothing is left to see.
            if kind != Kind::Tables {
                break 'all;
            }
            if seen.last().is_some_and(|ready| ready.body == b"E") {
                client.query("ROLLBACK TO before")?;
            }
            break;
        }
    }
    if transaction {
        client.query("ROLLBACK")?;
    }
    if kind != Kind::Query {
        client.query("CLOSE ALL")?;
        client.query("DEALLOCATE ALL")?;
    }
    Ok(seen.iter().map(told).collect())
}

/// A message without what differs from decision to decision, and from database to database.
fn told(message: &Message) -> String {
    let mut shown = DATABASES.iter().fold(message.shown(), |shown, name| shown.replace(name, "DB"));
    if message.tag == b'T' {
        // So are the numbers of types of rows of new tables.
        let number = |word: &str| word.parse().is_ok_and(|n: u32| n >= FIRST_OF_USERS);
        let words = shown.split(':').map(|word| if number(word) { "own" } else { word });
        shown = words.collect::<Vec<_>>().join(":");
    }
    // Which number a session's schema of temporary tables has is chance.
    while let Some(at) = shown.find("pg_temp_") {
        let end = shown[at + 8..].find(|c: char| !c.is_ascii_digit());
        shown.replace_range(at..end.map_or(shown.len(), |end| at + 8 + end), "pg_temp");
    }
    match shown.find("[dec_").zip(shown.find("[dec_").and_then(|at| shown[at..].find(']'))) {
        Some((at, length)) => format!("{}{}", &shown[..at], &shown[at + length + 1..]),
        None => shown,
    }
}

/// Why there was no answer: in which call it was noticed that a session has ended is chance.
fn end(error: &anyhow::Error) -> &'static str {
    let waited = error.downcast_ref::<std::io::Error>().is_some_and(|error| {
        matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
    });
    if waited { TOO_LONG } else { "the session has ended" }
}

/// How long something takes is not looked at.
fn took_too_long(told: &[String]) -> bool {
    told.iter().any(|line| line.contains("57014") || line.strip_prefix(ENDED) == Some(TOO_LONG))
}

fn outcome(kind: Kind, told: &[String]) -> Outcome {
    if told.iter().any(|line| line.starts_with(ENDED)) {
        return Outcome::Ended;
    }
    // Of what is made of tables, what the last statement came to.
    let told = if kind == Kind::Tables { last_answer(told) } else { told };
    let errors = told.iter().filter(|line| line.starts_with('E'));
    let mut outcome =
        if told.iter().any(|line| has_rows(line)) { Outcome::Answered } else { Outcome::Empty };
    for error in errors {
        outcome = outcome.min(if error.contains("portcullis") {
            Outcome::Refused
        } else {
            Outcome::Failed
        });
    }
    outcome
}

/// What came before the last ReadyForQuery, and behind the one before it.
fn last_answer(told: &[String]) -> &[String] {
    let last = told.iter().rposition(|line| line.starts_with('Z'));
    let told = &told[..last.unwrap_or(told.len())];
    &told[told.iter().rposition(|line| line.starts_with('Z')).unwrap_or(0)..]
}

/// True for a row, or one that is copied out.
fn has_rows(line: &str) -> bool {
    line.starts_with(['D', 'd'])
}

/// What a run came to.
#[derive(Default)]
struct Tally {
    outcomes: BTreeMap<Outcome, u64>,
    /// Why the server or the gateway would not, with how often and an example.
    errors: BTreeMap<String, (u64, String)>,
    /// Programs with a masked value in their answers.
    masked: u64,
    /// Statements, and those that were run to their end.
    statements: u64,
    done: u64,
    failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, kind: Kind, program: &Program, answers: &[Vec<String>; 2]) {
        *self.outcomes.entry(outcome(kind, &answers[0])).or_default() += 1;
        let masked = answers[0].iter().any(|line| has_rows(line) && line.contains("[masked]"));
        self.masked += u64::from(masked);
        self.statements += program.statements.len() as u64;
        self.done += answers[0].iter().filter(|line| line.starts_with('C')).count() as u64;
        let error = |line: &&String| line.starts_with('E') || line.starts_with(ENDED);
        if let Some(error) = answers.iter().flatten().find(error) {
            let state = error.split("SQLSTATE ").nth(1).map_or("", |rest| &rest[..5]);
            let error = error.chars().filter(|c| !c.is_ascii_digit()).take(90);
            let error = format!("{} {state}", error.collect::<String>());
            let shown = program.shown("; ");
            let entry = self.errors.entry(error).or_insert((0, shown.clone()));
            // The shortest shows best what it is about.
            if shown.len() < entry.1.len() {
                entry.1 = shown;
            }
            entry.0 += 1;
        }
    }
}

fn seeds() -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    (number("PORTCULLIS_SEED").unwrap_or(1), number("PORTCULLIS_PROGRAMS").unwrap_or(PROGRAMS))
}

/// Runs programs of a kind until there are enough of them, or of failures.
fn explore(arena: &Arena, kind: Kind) -> Tally {
    let (first, count) = seeds();
    let count = match kind {
        Kind::Query => count,
        Kind::Ways => count / 4,
        Kind::Tables => count / 10,
    };
    let next = AtomicU64::new(0);
    let tally = Mutex::new(Tally::default());
    // Who changes the same tables waits for the others.
    let workers = if kind == Kind::Tables { 1 } else { WORKERS };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut pair = Pair::new(arena);
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count || tally.lock().unwrap().failures.len() >= ENOUGH {
                        break;
                    }
                    if at % 500 < WORKERS {
                        pair.renew();
                    }
                    if at.is_multiple_of(10_000) {
                        eprintln!("{at} programs");
                    }
                    let mut choices = Choices::random(first + at);
                    let program = grammar::program(kind, &mut choices, pair.version);
                    let answers = pair.run(kind, &program);
                    let differs =
                        answers[0] != answers[1] && !answers.iter().any(|told| took_too_long(told));
                    tally.lock().unwrap().add(kind, &program, &answers);
                    if differs {
                        let told = told_apart(&program, &answers, first + at);
                        eprintln!("{told}\n(looking for a simpler one)");
                        let failure = failure(&mut pair, kind, choices.made(), told);
                        tally.lock().unwrap().failures.push(failure);
                    }
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

/// The simplest program like this one whose answers differ, and how; or the one given itself, if that
/// cannot be done again.
fn failure(pair: &mut Pair<'_>, kind: Kind, row: Vec<u32>, found: String) -> String {
    pair.renew();
    let differs = |pair: &mut Pair<'_>, row: &[u32]| {
        let program = grammar::program(kind, &mut Choices::given(row.to_vec()), pair.version);
        let answers = pair.run(kind, &program);
        let differ = answers[0] != answers[1] && !answers.iter().any(|told| took_too_long(told));
        differ.then_some((program, answers))
    };
    let row = simplest(row, ATTEMPTS, |row| differs(pair, row).is_some());
    match differs(pair, &row) {
        Some((program, answers)) => {
            format!("{found}\nsimplest: {}", told_apart(&program, &answers, 0))
        }
        None => format!("{found}\n(not again)"),
    }
}

/// A program whose answers differ, and the first difference.
fn told_apart(program: &Program, [left, right]: &[Vec<String>; 2], seed: u64) -> String {
    let differ = left.iter().zip(right).find(|(l, r)| l != r);
    let lengths = (left.len().to_string(), right.len().to_string());
    let (l, r) = differ.map_or(lengths, |(l, r)| (l.clone(), r.clone()));
    let how = program.statements.first().map_or(How::Simple, |statement| statement.how);
    format!("seed {seed}, {how:?}:\n  {}\n  left:  {l}\n  right: {r}", program.shown(";\n  "))
}

/// Tells what both answer to the statements of a program that is given.
fn tell(arena: &Arena, given: &str) {
    for how in [How::Simple, How::Extended { binary: true }, How::Portions { binary: false }] {
        let statements = given.split(';').map(|text| Statement {
            text: text.trim().to_owned(),
            bound: Vec::new(),
            how,
        });
        let statements: Vec<Statement> = statements.collect();
        let program = Program { transaction: statements.len() > 1, statements };
        for told in Pair::new(arena).run(Kind::Tables, &program) {
            eprintln!("{}\n", told.join("\n"));
        }
    }
}

fn check(kind: Kind, least: u64) {
    let arena = start();
    if let Ok(given) = std::env::var("PORTCULLIS_PROGRAM") {
        return tell(&arena, &given);
    }
    let tally = explore(&arena, kind);
    eprintln!(
        "{kind:?}: {:?}, {} with masked values; {} of {} statements done",
        tally.outcomes, tally.masked, tally.done, tally.statements
    );
    if std::env::var_os("PORTCULLIS_PROGRAMS").is_some() {
        let mut errors: Vec<_> = tally.errors.iter().collect();
        errors.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        for (error, (count, example)) in errors.iter().take(40) {
            eprintln!("{count:6} {error}\n         {example}");
        }
    }
    assert!(tally.failures.is_empty(), "{}", tally.failures.join("\n\n"));
    // A grammar of nothing but refusals would show nothing.
    let answered = tally.outcomes.get(&Outcome::Answered).copied().unwrap_or_default();
    let all: u64 = tally.outcomes.values().sum();
    assert!(answered * 100 >= all * least, "only {answered} of {all} were answered with rows");
    let (done, statements) = (tally.done, tally.statements);
    assert!(done * 100 >= statements * 45, "only {done} of {statements} statements were done");
    assert!(tally.masked * 20 >= answered, "only {} answers had masked values", tally.masked);
}

#[test]
fn what_is_made_of_it_does_not_tell_what_is_masked() {
    check(Kind::Tables, 20);
}

#[test]
fn what_is_asked_in_other_ways_does_not_tell_what_is_masked() {
    check(Kind::Ways, 35);
}

#[test]
fn what_is_asked_does_not_tell_what_is_masked() {
    check(Kind::Query, 40);
}
