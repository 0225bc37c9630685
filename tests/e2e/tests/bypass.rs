//! Every way round the gateway that is written down in `tests/corpus/bypass`, each twice: past the
//! gateway, where it must do what it says, and through it under the default pack, where it must
//! not. The gateway's role at the target may do anything, so nothing but the gateway is in the way.
//!
//! Every run has a database of its own, a copy of the shop with the traps of `traps.sql.in`; to the
//! gateway each case is a connection of its own, so nothing is known of it from before. Directives:
//!
//! * `setup`, `cleanup`: done by the superuser before the run and after it (roles and settings of
//!   the server outlive the database).
//! * `effect`: a question to the superuser. Its answer is another one after the direct run, or
//!   before the client leaves; through the gateway it stays the same.
//! * `secret`: a question that gives secret values. One of them can be read from what the client
//!   received directly, none through the gateway.
//! * `infer: right | wrong`: two guesses for `{guess}`. The answers differ directly; through the
//!   gateway both are refused alike.
//! * `protocol`: `simple`, `extended`, `pipeline` (extended, with one Sync at the end), `binary`
//!   (extended, with results in binary), `copy` (simple, with `data` sent), or `script` (the
//!   statement is a wire script). It holds for the statements from there on.
//! * `bind`: a JSON array of parameters. `startup: name=value`: a parameter of the log-in.
//!   `session: name`: another session from here on. `bytes`: `\xNN` stands for a byte.
//! * `ends`: why the session may be over afterwards.
//!
//! `{db}`, `{port}` and `{dir}` stand for the database, the server's port and a directory that the
//! server can write to. `PORTCULLIS_CASE=text` runs the cases whose name has the text, and tells
//! what they received.

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::corpus::{self, Case};
use portcullis_testkit::leaks::Received;
use portcullis_testkit::raw::{Message, RawClient, message, values};
use portcullis_testkit::script;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const DIRECTIVES: &[&str] = &[
    "setup", "cleanup", "effect", "secret", "infer", "protocol", "bind", "startup", "session",
    "data", "bytes", "ends",
];
/// What is known to get through, in `exceptions`. It may only become less.
const MOST_EXCEPTIONS: usize = 0;
const WORKERS: usize = 4;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/bypass")
}

/// Where a case is run.
struct Place<'a> {
    arena: &'a Arena,
    token: &'a str,
    database: String,
    through: bool,
}

impl Place<'_> {
    fn server(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.arena.server.port()))
    }

    fn superuser(&self, database: &str) -> anyhow::Result<RawClient> {
        RawClient::log_in(self.server(), "raw", database, "")
    }

    /// The database, fresh.
    fn create(&self) -> anyhow::Result<()> {
        self.drop()?;
        let sql = format!("CREATE DATABASE {} TEMPLATE shop", self.database);
        good(&mut self.superuser("postgres")?, &sql)
    }

    fn drop(&self) -> anyhow::Result<()> {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database);
        good(&mut self.superuser("postgres")?, &sql)
    }

    fn client(&self, case: &Case) -> anyhow::Result<RawClient> {
        let user = if self.through { "claude" } else { "raw" };
        let mut parameters = vec![("user", user), ("database", &self.database)];
        for parameter in case.all("startup") {
            parameters.extend(parameter.split_once('='));
        }
        let address = if self.through { self.arena.postgres } else { self.server() };
        RawClient::log_in_with(address, &parameters, self.token)
    }

    fn fill(&self, text: &str, guess: &str) -> String {
        text.replace("{db}", &self.database)
            .replace("{port}", &self.arena.server.port().to_string())
            .replace("{dir}", &self.arena.server.directory().display().to_string())
            .replace("{guess}", guess)
    }

    fn tell(&self, case: &Case, key: &str) -> anyhow::Result<()> {
        let mut client = self.superuser(&self.database)?;
        for sql in case.all(key) {
            good(&mut client, &self.fill(sql, ""))?;
        }
        Ok(())
    }

    /// What the superuser is told now.
    fn ask(&self, case: &Case, key: &str) -> anyhow::Result<Vec<Vec<String>>> {
        let mut client = self.superuser(&self.database)?;
        let answer = |sql| {
            let seen = client.query(&self.fill(sql, ""))?;
            anyhow::ensure!(seen.iter().all(|m| m.tag != b'E'), "{key}: {}", shown(&seen));
            let rows = seen.iter().filter(|m| m.tag == b'D');
            let all = rows.flat_map(|m| values(&m.body)).flatten();
            Ok(all.map(|v| String::from_utf8_lossy(&v).into_owned()).collect())
        };
        case.all(key).map(answer).collect()
    }
}

fn good(client: &mut RawClient, sql: &str) -> anyhow::Result<()> {
    let seen = client.query(sql)?;
    anyhow::ensure!(seen.iter().all(|m| m.tag != b'E'), "{sql}: {}", shown(&seen));
    Ok(())
}

fn shown(messages: &[Message]) -> String {
    messages.iter().map(|m| format!("      {:.400}\n", m.shown())).collect()
}

/// The sessions of one run.
struct Play<'a> {
    place: &'a Place<'a>,
    case: &'a Case,
    guess: &'a str,
    clients: BTreeMap<&'a str, RawClient>,
    seen: Vec<Message>,
    /// What was not sent yet, for a pipeline.
    batch: Vec<u8>,
    closed: bool,
}

impl<'a> Play<'a> {
    fn run(place: &'a Place<'a>, case: &'a Case, guess: &'a str) -> anyhow::Result<Self> {
        let (clients, seen, batch) = Default::default();
        let mut play = Self { place, case, guess, clients, seen, batch, closed: false };
        let (mut protocol, mut session) = ("simple", "");
        for (n, statement) in case.statements.iter().enumerate() {
            let next = case.before(n, "session").unwrap_or(session);
            let kind = case.before(n, "protocol").unwrap_or(protocol);
            if (next, kind) != (session, protocol) {
                play.sync(session)?;
            }
            (session, protocol) = (next, kind);
            if !play.clients.contains_key(session) {
                let client = match place.client(case) {
                    Ok(client) => client,
                    Err(error) if place.through => {
                        let body = format!("M{error:#}\0\0").into_bytes();
                        play.seen.push(Message { tag: b'E', body });
                        play.closed = true;
                        return Ok(play);
                    }
                    Err(error) => return Err(error),
                };
                play.clients.insert(session, client);
            }
            play.statement(n, &place.fill(statement, guess), protocol, session)?;
            if play.closed {
                return Ok(play);
            }
        }
        play.sync(session)?;
        Ok(play)
    }

    fn client(&mut self, session: &str) -> &mut RawClient {
        self.clients.get_mut(session).unwrap()
    }

    fn statement(&mut self, n: usize, text: &str, how: &str, session: &str) -> anyhow::Result<()> {
        let bytes = match self.case.one("bytes")? {
            Some(_) => unescaped(text),
            None => text.as_bytes().to_vec(),
        };
        match how {
            "simple" | "copy" => {
                let data = self.case.before(n, "data").map(|d| self.place.fill(d, self.guess));
                self.client(session).send(&message(b'Q', &[&bytes[..], b"\0"].concat()))?;
                self.until_ready(session, data.as_deref())
            }
            "extended" | "pipeline" | "binary" => {
                let bind = self.case.before(n, "bind").unwrap_or("[]");
                let bind = self.place.fill(bind, self.guess);
                self.batch.extend(extended(&bytes, &bind, how == "binary")?);
                if how != "pipeline" {
                    self.sync(session)?;
                }
                Ok(())
            }
            "script" => {
                let (seen, ended) = script::messages(self.client(session), text)?;
                self.seen.extend(seen);
                self.closed = ended.is_some();
                Ok(())
            }
            other => anyhow::bail!("no such protocol: {other}"),
        }
    }

    fn sync(&mut self, session: &str) -> anyhow::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let mut batch = std::mem::take(&mut self.batch);
        batch.extend(message(b'S', b""));
        self.client(session).send(&batch)?;
        self.until_ready(session, None)
    }

    fn until_ready(&mut self, session: &str, data: Option<&str>) -> anyhow::Result<()> {
        loop {
            let client = self.client(session);
            let Ok(Some(seen)) = client.receive() else {
                self.closed = true;
                return Ok(());
            };
            let tag = seen.tag;
            self.seen.push(seen);
            match (tag, data) {
                (b'G', Some(data)) => {
                    let bytes = [message(b'd', data.as_bytes()), message(b'c', b"")].concat();
                    self.client(session).send(&bytes)?;
                }
                (b'G', None) => self.client(session).send(&message(b'f', b"no data\0"))?,
                (b'Z', _) => return Ok(()),
                _ => {}
            }
        }
    }

    /// Refused or not, everybody can go on.
    fn is_alive(&mut self) -> bool {
        !self.closed
            && self.clients.values_mut().all(|client| {
                let seen = client.query("ROLLBACK; SELECT 'still ' || 'here'").unwrap_or_default();
                seen.iter().any(|m| m.shown() == "D \"still here\"")
            })
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut parts = text.split("\\x");
    out.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        out.push(u8::from_str_radix(&part[..2], 16).unwrap());
        out.extend_from_slice(&part.as_bytes()[2..]);
    }
    out
}

/// Parse, Bind, Describe and Execute of the unnamed statement.
fn extended(sql: &[u8], bind: &str, binary: bool) -> anyhow::Result<Vec<u8>> {
    let parameters: Vec<serde_json::Value> = serde_json::from_str(bind)?;
    let mut body = [b"\0".as_slice(), &0u16.to_be_bytes()].concat();
    body.extend_from_slice(&(parameters.len() as u16).to_be_bytes());
    for parameter in parameters {
        let text = match parameter {
            serde_json::Value::Null => {
                body.extend_from_slice(&(-1i32).to_be_bytes());
                continue;
            }
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        body.extend_from_slice(&(text.len() as u32).to_be_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    body.extend_from_slice(if binary { &[0, 1, 0, 1] } else { &[0, 0] });
    Ok([
        message(b'P', &[b"\0", sql, b"\0\0\0"].concat()),
        message(b'B', &[b"\0".as_slice(), &body].concat()),
        message(b'D', b"P\0"),
        message(b'E', b"\0\0\0\0\0"),
    ]
    .concat())
}

/// What differs from run to run, or is the guess itself.
fn steady(messages: &[Message], guess: &str) -> String {
    let words = |line: String| -> String {
        let mut words: Vec<String> = Vec::new();
        for word in line.split(' ') {
            let id = word.contains("dec_") || word.contains("rev_");
            let hidden = id || words.last().is_some_and(|last| last == "digest");
            words.push(if hidden { "…".to_owned() } else { word.to_owned() });
        }
        words.join(" ").replace(guess, "…")
    };
    messages.iter().map(|m| words(m.shown()) + "\n").collect()
}

fn own_errors(messages: &[Message]) -> usize {
    messages.iter().filter(|m| m.tag == b'E' && m.shown().contains("portcullis: ")).count()
}

/// The two guesses.
fn guesses(case: &Case) -> anyhow::Result<Option<(&str, &str)>> {
    Ok(case.one("infer")?.and_then(|guesses| guesses.split_once(" | ")))
}

/// What is wrong with the case past the gateway: it does not do what it says.
fn directly(place: &Place<'_>, case: &Case) -> anyhow::Result<Option<String>> {
    let secrets = secrets(place, case)?;
    if let Some((right, wrong)) = guesses(case)? {
        let [right, wrong] = [right, wrong].map(|guess| {
            Play::run(place, case, guess).map(|p| steady(&p.seen, guess))
        });
        let same = right? == wrong?;
        return Ok(same.then(|| "directly, both guesses are answered alike".to_owned()));
    }
    let before = place.ask(case, "effect")?;
    let play = Play::run(place, case, "")?;
    let mut after = place.ask(case, "effect")?;
    let seen = play.seen;
    drop(play.clients);
    if after == before {
        after = place.ask(case, "effect")?;
    }
    let without = case.all("effect").zip(before.iter().zip(&after)).find(|(_, (b, a))| b == a);
    if let Some((sql, (before, _))) = without {
        return Ok(Some(format!("directly, no effect: {sql}: {before:?}\n{}", shown(&seen))));
    }
    if !secrets.is_empty() && Received::new(&seen).shows(&secrets).is_none() {
        return Ok(Some(format!("directly, no secret is shown:\n{}", shown(&seen))));
    }
    Ok(None)
}

fn secrets(place: &Place<'_>, case: &Case) -> anyhow::Result<BTreeSet<String>> {
    let secrets: BTreeSet<String> = place.ask(case, "secret")?.into_iter().flatten().collect();
    let asked = case.all("secret").count() > 0;
    anyhow::ensure!(!asked || !secrets.is_empty(), "there is no secret");
    anyhow::ensure!(secrets.iter().all(|s| s.len() > 3), "too short to be found: {secrets:?}");
    Ok(secrets)
}

/// What is wrong with it through the gateway: it got through, or broke the session.
fn through(place: &Place<'_>, case: &Case, verbose: bool) -> anyhow::Result<Option<String>> {
    let secrets = secrets(place, case)?;
    let before = place.ask(case, "effect")?;
    if let Some((right, wrong)) = guesses(case)? {
        let mut told = Vec::new();
        for guess in [right, wrong] {
            let play = Play::run(place, case, guess)?;
            if own_errors(&play.seen) == 0 {
                return Ok(Some(format!("it was answered:\n{}", shown(&play.seen))));
            }
            told.push(steady(&play.seen, guess));
        }
        let same = told.first() == told.last();
        return Ok((!same).then(|| format!("the guesses are told apart:\n{}", told.join("--\n"))));
    }
    let mut play = Play::run(place, case, "")?;
    let open = place.ask(case, "effect")?;
    let alive = play.is_alive() || case.one("ends")?.is_some();
    let seen = play.seen;
    drop(play.clients);
    let closed = place.ask(case, "effect")?;
    if verbose {
        eprintln!("-- {case}\n{}", shown(&seen));
    }
    if let Some(how) = Received::new(&seen).shows(&secrets) {
        return Ok(Some(format!("it shows {how}:\n{}", shown(&seen))));
    }
    if open != before || closed != before {
        let told = shown(&seen);
        return Ok(Some(format!("from {before:?} to {open:?} and {closed:?}:\n{told}")));
    }
    if !alive {
        return Ok(Some(format!("the session is broken:\n{}", shown(&seen))));
    }
    Ok(None)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// It cannot be run, or does not do directly what it says.
    Case,
    /// The gateway does not stop it.
    Bypass,
}

fn fault(arena: &Arena, token: &str, n: usize, case: &Case, verbose: bool) -> Option<(Fault, String)> {
    for (gateway, fault) in [(false, Fault::Case), (true, Fault::Bypass)] {
        let place = Place { arena, token, database: format!("case_{n}"), through: gateway };
        let prepared = place.create().and_then(|()| place.tell(case, "setup"));
        if let Err(error) = prepared {
            return Some((Fault::Case, format!("setup: {error:#}")));
        }
        let result =
            if gateway { through(&place, case, verbose) } else { directly(&place, case) };
        let cleaned = place.tell(case, "cleanup").and_then(|()| place.drop());
        match (result, cleaned) {
            (Ok(Some(problem)), _) => return Some((fault, problem)),
            (Err(error), _) | (_, Err(error)) => {
                return Some((Fault::Case, format!("{fault:?} run: {error:#}")));
            }
            (Ok(None), Ok(())) => {}
        }
    }
    None
}

/// One connection per case, as `[connections.shop]` is.
fn connections(cases: usize) -> String {
    let sensitive = Setup::agent_safe().connection;
    let connection = |n| {
        format!(
            r#"[connections.case_{n}]
environment = "test"
groups = ["agents"]
{sensitive}
[connections.case_{n}.target]
host = "127.0.0.1"
port = {{port}}
database = "case_{n}"
user = "owner"
password_file = "app.password"
"#
        )
    };
    (0..cases).map(connection).collect()
}

fn start(cases: usize) -> Arena {
    let mut setup = Setup { more: connections(cases), ..Setup::agent_safe() };
    // Nobody decides here.
    setup.policy.push_str("[review]\nexpires = \"1s\"\n");
    let arena = Arena::start(&setup).unwrap();
    arena.server.sql("postgres", "ALTER SYSTEM SET fsync = off").unwrap();
    arena.server.sql("postgres", "SELECT pg_reload_conf()").unwrap();
    let traps = fs::read_to_string(directory().join("traps.sql.in")).unwrap();
    arena.server.sql("shop", &traps).unwrap();
    arena
}

/// What is known to get through: the names of cases, a reason after ` -- `.
fn exceptions() -> BTreeSet<String> {
    let text = fs::read_to_string(directory().join("exceptions")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_once(" -- ").expect("a reason").0.to_owned()).collect()
}

#[test]
fn what_can_be_done_directly_cannot_be_done_through_the_gateway() {
    let mut cases = corpus::read_directory(&directory(), DIRECTIVES).unwrap();
    let mut names: Vec<String> = cases.iter().map(|c| c.intent.clone()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "two cases have the same intent");
    let only = std::env::var("PORTCULLIS_CASE").ok();
    cases.retain(|case| only.as_ref().is_none_or(|text| case.to_string().contains(text)));
    let arena = start(cases.len());
    let token = arena.token("claude").unwrap();
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(Fault, usize, String)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(n) else { return };
                    if let Some((kind, what)) = fault(&arena, &token, n, case, only.is_some()) {
                        found.lock().unwrap().push((kind, n, what));
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort();
    let mut by_class: BTreeMap<&str, usize> = BTreeMap::new();
    cases.iter().for_each(|case| *by_class.entry(&case.class).or_default() += 1);
    eprintln!("{} cases, {by_class:?}, {} with faults", cases.len(), found.len());
    if only.is_none() {
        assert!(cases.len() >= 300, "only {} cases", cases.len());
    }
    let mut exceptions = exceptions();
    assert!(exceptions.len() <= MOST_EXCEPTIONS);
    found.retain(|(fault, n, _)| {
        !(*fault == Fault::Bypass && exceptions.remove(&cases[*n].intent))
    });
    if only.is_none() {
        assert!(exceptions.is_empty(), "these do not get through any more: {exceptions:?}");
    }
    let show = |(fault, n, what): &(Fault, usize, String)| {
        format!("== {fault:?}: {}\n   {what}", cases[*n])
    };
    assert!(found.is_empty(), "{}", found.iter().map(show).collect::<Vec<_>>().join("\n"));
}
