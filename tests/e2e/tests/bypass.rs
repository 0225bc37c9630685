//! Every way round the gateway that is written down in `tests/corpus/bypass`, each twice: past the
//! gateway, where it must do what it says, and through it under the default pack, where it must
//! not. The gateway's role at the target may do anything, so nothing but the gateway is in the way.
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
//! * `needs`, `until`: the versions of the server it is about.
//!
//! `{db}`, `{port}` and `{dir}` stand for the database, the server's port and a directory that the
//! server can write to. `PORTCULLIS_CASE=text` runs the cases whose name has the text, and tells
//! what they received.

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::corpus::{self, Case};
use portcullis_testkit::leaks::Received;
use portcullis_testkit::raw::{Message, RawClient, message, values};
use portcullis_testkit::script;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const DIRECTIVES: &[&str] = &[
    "setup", "cleanup", "effect", "secret", "infer", "protocol", "bind", "startup", "session",
    "data", "bytes", "ends", "let",
];
/// What is known to get through, in `exceptions`. It may only become less.
const MOST_EXCEPTIONS: usize = 0;
const WORKERS: usize = 6;
/// The tables whose rows cases change, and the columns to be put back.
const TABLES: [(&str, &str); 4] = [
    ("customers", "id, name, email, card_number, city, created_at"),
    ("orders", "id, customer_id, status, total, note, placed_at"),
    ("payments", "id, order_id, iban, amount, paid_at"),
    ("boxes", "b"),
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/bypass")
}

/// Everything a statement may have changed in the database: what there is, and what is in the shop.
const FINGERPRINT: &str = "SELECT
    (SELECT count(*)::text || max(oid) FROM pg_class), (SELECT count(*)::text || max(oid) FROM pg_proc),
    (SELECT count(*)::text || max(oid) FROM pg_type), (SELECT count(*)::text || max(oid) FROM pg_operator),
    (SELECT count(*) FROM pg_namespace), (SELECT count(*) FROM pg_cast), (SELECT count(*) FROM pg_trigger),
    (SELECT count(*) FROM pg_rewrite), (SELECT count(*) FROM pg_policy), (SELECT count(*) FROM pg_extension),
    (SELECT count(*) FROM pg_event_trigger), (SELECT count(*) FROM pg_largeobject_metadata),
    (SELECT count(*) FROM pg_description), (SELECT count(*) FROM pg_constraint),
    (SELECT count(*) FROM pg_default_acl), (SELECT count(*) FROM pg_statistic_ext),
    (SELECT count(*) FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped),
    (SELECT md5(string_agg(concat(relname, relacl, relkind, reloptions, relrowsecurity), ',' ORDER BY oid))
     FROM pg_class WHERE relnamespace = 'public'::regnamespace),
    (SELECT md5(string_agg(concat(c), ',' ORDER BY id)) FROM customers c),
    (SELECT md5(string_agg(concat(o), ',' ORDER BY id)) FROM orders o),
    (SELECT md5(string_agg(concat(p), ',' ORDER BY id)) FROM payments p),
    (SELECT md5(string_agg(concat(b), ',' ORDER BY b)) FROM boxes b),
    (SELECT concat(last_value, is_called) FROM numbers)";

/// A table, its columns, and what was in it.
type Table = (&'static str, &'static str, Vec<u8>);

/// One database, and who is at work there.
struct Place<'a> {
    arena: &'a Arena,
    token: &'a str,
    database: String,
    /// What the gateway calls it for this case.
    connection: String,
    through: bool,
    /// What stands for what in this case.
    names: Vec<(String, String)>,
    /// The shop's tables, to be put back.
    rows: &'a [Table],
    /// The superuser's session in the database.
    superuser: RefCell<Option<RawClient>>,
}

impl Place<'_> {
    fn server(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.arena.server.port()))
    }

    fn log_in(&self, database: &str) -> anyhow::Result<RawClient> {
        // Whatever path the case has given the database or the role.
        let parameters = [("user", "raw"), ("database", database), ("search_path", "public")];
        RawClient::log_in_with(self.server(), &parameters, "")
    }

    /// What the superuser's session gives, which is opened where there is none.
    fn as_superuser<T>(
        &self,
        f: impl FnOnce(&mut RawClient) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut session = self.superuser.borrow_mut();
        if session.is_none() {
            *session = Some(self.log_in(&self.database)?);
        }
        let result = session.as_mut().map(f).unwrap_or_else(|| anyhow::bail!("no session"));
        // Whatever was left unread is not the answer to the next question.
        if result.is_err() {
            *session = None;
        }
        result
    }

    /// The database, fresh.
    fn create(&self) -> anyhow::Result<()> {
        *self.superuser.borrow_mut() = None;
        let mut client = self.log_in("postgres")?;
        good(&mut client, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database))?;
        good(&mut client, &format!("CREATE DATABASE {} TEMPLATE shop", self.database))
    }

    /// The rows of the shop, as they were. Whether nothing else has changed is to be seen.
    fn restore(&self) -> anyhow::Result<()> {
        let tables: Vec<&str> = self.rows.iter().map(|(table, ..)| *table).collect();
        let tables = tables.join(", ");
        self.as_superuser(|client| {
            good(client, &format!("TRUNCATE {tables}; SELECT setval('numbers', 1, false)"))?;
            for (table, columns, rows) in self.rows {
                copy_in(client, &format!("{table} ({columns})"), rows)?;
            }
            good(client, "ANALYZE customers, orders, payments")
        })
    }

    fn fingerprint(&self) -> anyhow::Result<String> {
        let seen = self.as_superuser(|client| client.query(FINGERPRINT))?;
        let row = seen.iter().find(|m| m.tag == b'D');
        Ok(row.ok_or_else(|| anyhow::anyhow!("no fingerprint: {}", shown(&seen)))?.shown())
    }

    fn client(&self, case: &Case) -> anyhow::Result<RawClient> {
        let (user, database, address) = match self.through {
            true => ("claude", &self.connection, self.arena.postgres),
            false => ("raw", &self.database, self.server()),
        };
        let mut parameters = vec![("user", user), ("database", database)];
        for parameter in case.values("startup") {
            parameters.extend(parameter.split_once('='));
        }
        RawClient::log_in_with(address, &parameters, self.token)
    }

    fn fill(&self, text: &str, guess: &str) -> String {
        let filled = text
            .replace("{db}", &self.database)
            .replace("{port}", &self.arena.server.port().to_string())
            .replace("{dir}", &self.arena.server.directory().display().to_string())
            .replace("{guess}", guess);
        self.names.iter().fold(filled, |text, (name, value)| text.replace(name, value))
    }

    /// Takes down what stands for what.
    fn learn(&mut self, case: &Case) -> anyhow::Result<()> {
        let answers = self.ask(case, "let")?;
        for (line, answer) in case.values("let").zip(answers) {
            let name = line.split(" = ").next().unwrap_or_default();
            self.names.push((format!("{{{name}}}"), answer.join(",")));
        }
        Ok(())
    }

    fn tell(&self, case: &Case, key: &str) -> anyhow::Result<()> {
        case.values(key)
            .try_for_each(|sql| self.as_superuser(|client| good(client, &self.fill(sql, ""))))
    }

    /// What the superuser is told now.
    fn ask(&self, case: &Case, key: &str) -> anyhow::Result<Vec<Vec<String>>> {
        let answer = |line: &str| {
            let named = line.split_once(" = ").filter(|_| key == "let");
            let sql = named.map_or(line, |(_, sql)| sql);
            let seen = self.as_superuser(|client| client.query(&self.fill(sql, "")))?;
            anyhow::ensure!(seen.iter().all(|m| m.tag != b'E'), "{key}: {}", shown(&seen));
            let rows = seen.iter().filter(|m| m.tag == b'D');
            let all = rows.flat_map(|m| values(&m.body)).flatten();
            Ok(all.map(|v| String::from_utf8_lossy(&v).into_owned()).collect())
        };
        case.values(key).map(answer).collect()
    }
}

/// Everything in a table, as COPY gives it.
fn copy_out(client: &mut RawClient, table: &str, columns: &str) -> anyhow::Result<Vec<u8>> {
    let seen = client.query(&format!("COPY {table} ({columns}) TO STDOUT"))?;
    Ok(seen.into_iter().filter(|m| m.tag == b'd').flat_map(|m| m.body).collect())
}

fn copy_in(client: &mut RawClient, table: &str, rows: &[u8]) -> anyhow::Result<()> {
    client.send(&message(b'Q', format!("COPY {table} FROM STDIN\0").as_bytes()))?;
    client.send(&[message(b'd', rows), message(b'c', b"")].concat())?;
    let seen = client.until(b'Z')?;
    anyhow::ensure!(seen.iter().all(|m| m.tag != b'E'), "{table}: {}", shown(&seen));
    Ok(())
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
        let escaped = self.case.has("bytes");
        let bytes = if escaped { unescaped(text) } else { text.as_bytes().to_vec() };
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
fn extended(sql: &[u8], bound: &[Option<String>], binary: bool) -> Vec<u8> {
    let mut body = [b"\0".as_slice(), &0u16.to_be_bytes()].concat();
    body.extend_from_slice(&(bound.len() as u16).to_be_bytes());
    for value in bound {
        let length = value.as_ref().map_or(-1, |v| v.len() as i32);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(value.as_deref().unwrap_or_default().as_bytes());
    }
    body.extend_from_slice(if binary { &[0, 1, 0, 1] } else { &[0, 0] });
    [
        message(b'P', &[b"\0", sql, b"\0\0\0"].concat()),
        message(b'B', &[b"\0".as_slice(), &body].concat()),
        message(b'D', b"P\0"),
        message(b'E', b"\0\0\0\0\0"),
    ]
    .concat()
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

impl Place<'_> {
    /// What is wrong with the case, if anything is.
    fn fault(&mut self, case: &Case, verbose: bool) -> anyhow::Result<Option<(Fault, String)>> {
        self.names.clear();
        self.tell(case, "setup")?;
        self.learn(case)?;
        let before = self.fingerprint()?;
        self.through = true;
        if let Some(problem) = through(self, case, verbose)? {
            return Ok(Some((Fault::Bypass, problem)));
        }
        let after = self.fingerprint()?;
        if after != before {
            return Ok(Some((Fault::Bypass, format!("from {before}\n   to {after}"))));
        }
        self.through = false;
        Ok(directly(self, case)?.map(|problem| (Fault::Case, problem)))
    }

    /// The database as it was, if it can be had without making it anew.
    fn is_clean(&self, case: &Case, pristine: &str) -> bool {
        let same = || self.fingerprint().is_ok_and(|now| now == pristine);
        !case.has("setup") && (same() || self.restore().is_ok() && same())
    }
}

/// The cases of one worker, and what is wrong with them.
fn work(
    mut place: Place<'_>,
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
        place.connection = format!("case_{n}");
        match place.fault(case, verbose) {
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
database = "work_{worker}"
user = "owner"
password_file = "app.password"
"#,
            worker = n % WORKERS,
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
    let mut cases = corpus::read(&directory()).unwrap();
    cases.iter().for_each(|case| case.allows(DIRECTIVES).unwrap());
    let mut names: Vec<&str> = cases.iter().map(intent).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "two cases have the same intent");
    let only = std::env::var("PORTCULLIS_CASE").ok();
    cases.retain(|case| only.as_ref().is_none_or(|text| case.to_string().contains(text)));
    let arena = start(cases.len());
    let version = arena.server.version();
    let all = cases.len();
    cases.retain(|case| case.is_about(version).unwrap());
    println!("PostgreSQL {version}: {} cases are about other versions", all - cases.len());
    let token = arena.token("claude").unwrap();
    let mut superuser = RawClient::log_in(
        SocketAddr::from(([127, 0, 0, 1], arena.server.port())),
        "raw",
        "shop",
        "",
    )
    .unwrap();
    let rows = TABLES.map(|(table, columns)| {
        let rows = copy_out(&mut superuser, table, columns).unwrap();
        (table, columns, rows)
    });
    drop(superuser);
    let worker = |worker| {
        let all = cases.iter().enumerate().filter(|(n, _)| n % WORKERS == worker);
        let place = Place {
            arena: &arena,
            token: &token,
            database: format!("work_{worker}"),
            connection: String::new(),
            through: false,
            names: Vec::new(),
            rows: &rows,
            superuser: RefCell::default(),
        };
        work(place, &all.collect::<Vec<_>>(), only.is_some())
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
    assert!(exceptions.len() <= MOST_EXCEPTIONS);
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
