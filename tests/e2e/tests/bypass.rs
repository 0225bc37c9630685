//! Every way round the gateway that is written down in `tests/corpus/bypass`, each twice: past the
//! gateway, where it must do what it says, and through it under the default pack, where it must
//! not. The gateway's role at the target may do anything, so nothing but the gateway is in the way; and
//! content detectors are off, so nothing but what statements are found to do.
//!
//! Every case finds the shop with the traps of `traps.sql.in` as it was: first the gateway is asked,
//! after which nothing may be changed, then the same is done directly. To the gateway each case is a
//! connection of its own, so nothing is known of it from before. Directives:
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
//!   statement is a wire script). Several, parted by commas, are those of the first statement, of
//!   the second and so on; the last holds for the rest.
//! * `let: name = question`: what the superuser is told stands for `{name}`.
//! * `bind`: a JSON array of parameters, or null, one for each statement. `session`: names of
//!   sessions, likewise. `startup: name=value`: a parameter of the log-in. `bytes`: `\xNN` stands
//!   for a byte.
//! * `ends`: why the session may be over afterwards.
//! * `bare`: it is done a second time on a connection where nothing is marked as sensitive.
//! * `needs`, `until`: the versions of the server it is about.
//!
//! `{db}`, `{port}` and `{dir}` stand for the database, the server's port and a directory that the
//! server can write to. `PORTCULLIS_CASE=text` runs the cases whose name has the text, and tells
//! what they received.

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::corpus::{self, Case};
use portcullis_testkit::leaks::Received;
use portcullis_testkit::place::{self, Place, shown};
use portcullis_testkit::raw::{Message, RawClient, extended, message, unescaped};
use portcullis_testkit::script;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const DIRECTIVES: &[&str] = &[
    "setup", "cleanup", "effect", "secret", "infer", "protocol", "bind", "startup", "session",
    "data", "bytes", "ends", "let", "bare",
];
/// What is known to get through, in `exceptions`. It may only become less.
const MOST_EXCEPTIONS: usize = 0;
const WORKERS: usize = 6;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/bypass")
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
        let (protocols, sessions) = (case.list("protocol"), case.list("session"));
        let at = |all: &[&'a str], n: usize| all.get(n).or(all.last()).copied();
        let (mut protocol, mut session) = ("simple", "");
        for (n, statement) in case.statements.iter().enumerate() {
            let next = at(&sessions, n).unwrap_or(session);
            let kind = at(&protocols, n).unwrap_or(protocol);
            if (next, kind) != (session, protocol) {
                play.sync(session)?;
            }
            (session, protocol) = (next, kind);
            if !play.clients.contains_key(session) {
                let client = match place.client(case) {
                    Ok(client) => client,
                    Err(error) if place.through.is_some() => {
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
        let escaped = self.case.has("bytes");
        let bytes = if escaped { unescaped(text)? } else { text.as_bytes().to_vec() };
        match how {
            "simple" | "copy" => {
                let data = self.case.value("data").map(|d| self.place.fill(d, self.guess));
                self.client(session).send(&message(b'Q', &[&bytes[..], b"\0"].concat()))?;
                self.until_ready(session, data.as_deref())
            }
            "extended" | "pipeline" | "binary" => {
                let mut bound = self.case.bound(n)?.unwrap_or_default();
                for value in bound.iter_mut().flatten() {
                    *value = self.place.fill(value, self.guess);
                }
                self.batch.extend(extended(&bytes, &bound, how == "binary"));
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
                let seen = client.query("ROLLBACK").unwrap_or_default();
                seen.last().is_some_and(|m| m.tag == b'Z' && m.body == b"I")
            })
    }
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
        let line = words.join(" ");
        // One letter is not quoted; it is in every word.
        if guess.len() > 3 { line.replace(guess, "…") } else { line }
    };
    messages.iter().map(|m| words(m.shown()) + "\n").collect()
}

fn own_errors(messages: &[Message]) -> usize {
    messages.iter().filter(|m| m.tag == b'E' && m.shown().contains("portcullis: ")).count()
}

/// The two guesses.
fn guesses(case: &Case) -> Option<(&str, &str)> {
    case.value("infer").and_then(|guesses| guesses.split_once(" | "))
}

/// What a case is after.
fn intent(case: &Case) -> &str {
    case.title.strip_prefix("intent: ").unwrap_or_else(|| panic!("{case}: not an intent"))
}

/// What is wrong with the case past the gateway: it does not do what it says.
fn directly(place: &Place<'_>, case: &Case) -> anyhow::Result<Option<String>> {
    let secrets = secrets(place, case)?;
    if let Some((right, wrong)) = guesses(case) {
        let [right, wrong] = [right, wrong]
            .map(|guess| Play::run(place, case, guess).map(|p| steady(&p.seen, guess)));
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
    let without = case.values("effect").zip(before.iter().zip(&after)).find(|(_, (b, a))| b == a);
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
    let asked = case.values("secret").count() > 0;
    anyhow::ensure!(!asked || !secrets.is_empty(), "there is no secret");
    anyhow::ensure!(secrets.iter().all(|s| s.len() > 3), "too short to be found: {secrets:?}");
    Ok(secrets)
}

/// What is wrong with it through the gateway: it got through, or broke the session.
fn through(place: &Place<'_>, case: &Case, verbose: bool) -> anyhow::Result<Option<String>> {
    let secrets = secrets(place, case)?;
    let before = place.ask(case, "effect")?;
    if let Some((right, wrong)) = guesses(case) {
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
    let alive = play.is_alive() || case.has("ends");
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

/// What is wrong with the case, if anything is. `gateway`: how to go through it.
fn fault(
    place: &mut Place<'_>,
    gateway: (SocketAddr, String, String),
    case: &Case,
    verbose: bool,
) -> anyhow::Result<Option<(Fault, String)>> {
    place.tell(case, "setup")?;
    place.learn(case)?;
    let before = place.fingerprint()?;
    place.through = Some(gateway);
    let passed = through(place, case, verbose);
    place.through = None;
    if let Some(problem) = passed? {
        return Ok(Some((Fault::Bypass, problem)));
    }
    let after = place.fingerprint()?;
    if after != before {
        return Ok(Some((Fault::Bypass, format!("from {before}\n   to {after}"))));
    }
    Ok(directly(place, case)?.map(|problem| (Fault::Case, problem)))
}

/// The cases of one worker, and what is wrong with them.
fn work(
    mut place: Place<'_>,
    gateway: (SocketAddr, &str),
    cases: &[(usize, &Case)],
    verbose: bool,
) -> Vec<(Fault, usize, String)> {
    let mut found = Vec::new();
    let (mut clean, mut pristine) = (false, String::new());
    for (n, case) in cases {
        if !clean {
            place.create().unwrap();
            pristine = place.fingerprint().unwrap();
        }
        let through = (gateway.0, format!("case_{n}"), gateway.1.to_owned());
        match fault(&mut place, through, case, verbose) {
            Ok(None) => {}
            Ok(Some((fault, what))) => found.push((fault, *n, what)),
            Err(error) => found.push((Fault::Case, *n, format!("{error:#}"))),
        }
        if let Err(error) = place.tell(case, "cleanup") {
            found.push((Fault::Case, *n, format!("{error:#}")));
        }
        clean = place.is_clean(case, &pristine);
    }
    found
}

/// What the second run of a case has after its title.
const BARE: &str = ", where nothing is marked as sensitive";

/// One connection per case, as `[connections.shop]` is.
fn connections(cases: &[Case]) -> String {
    let marked = Setup::agent_safe().connection;
    let connection = |(n, case): (usize, &Case)| {
        let sensitive = if case.title.ends_with(BARE) { "" } else { &*marked };
        format!(
            r#"[connections.case_{n}]
environment = "test"
groups = ["agents"]
detectors = []
{sensitive}
[connections.case_{n}.target]
host = "127.0.0.1"
port = {{port}}
database = "work_{worker}"
user = "owner"
password_file = "app.password"
"#,
            worker = n % WORKERS,
        )
    };
    cases.iter().enumerate().map(connection).collect()
}

fn start(cases: &[Case]) -> Arena {
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
    let mut cases = corpus::read(&directory()).unwrap();
    cases.iter().for_each(|case| case.allows(DIRECTIVES).unwrap());
    let mut names: Vec<&str> = cases.iter().map(intent).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "two cases have the same intent");
    let bare = cases.iter().filter(|case| case.has("bare")).cloned();
    let bare = bare.map(|case| Case { title: case.title.clone() + BARE, ..case });
    cases.extend(bare.collect::<Vec<_>>());
    let only = std::env::var("PORTCULLIS_CASE").ok();
    cases.retain(|case| only.as_ref().is_none_or(|text| case.to_string().contains(text)));
    let arena = start(&cases);
    let version = arena.server.version();
    let all = cases.len();
    cases.retain(|case| case.is_about(version).unwrap());
    println!("PostgreSQL {version}: {} cases are about other versions", all - cases.len());
    let token = arena.token("claude").unwrap();
    let rows = place::rows(&arena.server).unwrap();
    let worker = |worker| {
        let all = cases.iter().enumerate().filter(|(n, _)| n % WORKERS == worker);
        let place = Place::new(&arena.server, format!("work_{worker}"), &rows);
        let gateway = (arena.postgres, token.as_str());
        work(place, gateway, &all.collect::<Vec<_>>(), only.is_some())
    };
    let mut found: Vec<(Fault, usize, String)> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..WORKERS).map(|n| scope.spawn(move || worker(n))).collect();
        running.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    found.sort();
    let mut by_class: BTreeMap<&str, usize> = BTreeMap::new();
    cases.iter().for_each(|case| *by_class.entry(&case.file).or_default() += 1);
    println!("{} cases, {by_class:?}, {} with faults", cases.len(), found.len());
    let mut exceptions = exceptions();
    assert!((0..=MOST_EXCEPTIONS).contains(&exceptions.len()));
    found.retain(|(fault, n, _)| {
        !(*fault == Fault::Bypass && exceptions.remove(intent(&cases[*n])))
    });
    if only.is_none() {
        assert!(exceptions.is_empty(), "these do not get through any more: {exceptions:?}");
    }
    let show = |(fault, n, what): &(Fault, usize, String)| {
        format!("== {fault:?}: {}\n   {what}", cases[*n])
    };
    assert!(found.is_empty(), "{}", found.iter().map(show).collect::<Vec<_>>().join("\n"));
    let enough = all >= 1_000 && cases.len() >= 900;
    assert!(only.is_some() || enough, "only {} cases of {all}", cases.len());
}
