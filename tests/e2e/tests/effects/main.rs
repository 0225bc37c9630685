//! Every statement of the corpora against a real server that shows what it did: what the facts claim
//! of it must cover that. `watch.rs` says what the server shows, `claims.rs` what covers what.
//!
//! A statement runs in a transaction of its own where it can, so that its locks can be seen before
//! they are gone. Before it runs the server is asked for the tree it makes of it. What is known not
//! to be covered stands in `exceptions`, with its reason.
//!
//! `PORTCULLIS_CASE=text` runs the cases whose name has the text, and tells what was seen.

mod claims;
mod watch;

use anyhow::Context as _;
use claims::{Check, Claims, Names};
use portcullis_core::effect::{Effect, Extent, Operation, Verb};
use portcullis_core::mask::{ColumnRef, Origin};
use portcullis_sandbox::postgres::Postgres;
use portcullis_sql::catalog::{Catalog, Detailed, System};
use portcullis_sql::statement::{Analysis, NameChange, TransactionChange};
use portcullis_sql::{Limits, REQUIRED_STACK, analyse};
use portcullis_testkit::arena;
use portcullis_testkit::corpus::{self, Case};
use portcullis_testkit::place::{self, Place};
use portcullis_testkit::raw::{Message, RawClient, extended, fields, message, unescaped};
use portcullis_testkit::script;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use watch::{Lock, Measure};

/// What is known not to be covered. It may only become less.
const MOST_EXCEPTIONS: usize = 0;
const WORKERS: usize = 4;
/// The version of the server whose trees are read here; others write them otherwise.
const VERSION: u32 = 15;
/// The server counts every call, shows counters as they are, and does nothing by itself. Its log is
/// not looked at: what it analyses is told to the session.
const SETTINGS: &[&str] = &[
    "track_functions = all",
    "stats_fetch_consistency = none",
    "autovacuum = off",
    "fsync = off",
    "log_min_messages = fatal",
];
/// Errors of statements that do not run in a transaction, or not after others in it.
const ALONE: [&str; 4] = ["25001", "2D000", "25P01", "3B001"];

fn directory(corpus: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(corpus)
}

/// How much was compared.
#[derive(Default)]
struct Count {
    cases: usize,
    statements: usize,
    /// Texts that are not read, or hold something that is not.
    unread: usize,
    /// Those that run code of users.
    code: usize,
    trees: usize,
    relations: usize,
    written: usize,
    functions: usize,
    locks: usize,
    settings: usize,
    columns: usize,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.statements += other.statements;
        self.unread += other.unread;
        self.code += other.code;
        self.trees += other.trees;
        self.relations += other.relations;
        self.written += other.written;
        self.functions += other.functions;
        self.locks += other.locks;
        self.settings += other.settings;
        self.columns += other.columns;
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cases, statements, unread, code, trees, .. } = self;
        write!(
            f,
            "{cases} cases, {statements} statements: {trees} trees, {code} run code of users, "
        )?;
        write!(f, "{unread} are not read; relations {} read, ", self.relations)?;
        write!(
            f,
            "{} written, {} locks; {} functions, ",
            self.written, self.locks, self.functions
        )?;
        write!(f, "{} settings, {} columns", self.settings, self.columns)
    }
}

/// A session of a case.
struct Session {
    client: RawClient,
    process: u32,
    /// `I`, `T` or `E`: none, a transaction, a failed one.
    status: u8,
    names: Names,
}

/// What is sent.
struct Request {
    /// Texts, and the types of their parameters where they are told. None where functions are
    /// called without.
    texts: Vec<script::Text>,
    bytes: Vec<u8>,
    data: Option<String>,
    /// A wire script instead: it is run as it is.
    script: Option<String>,
}

/// One worker's place, and what it has found.
struct Work<'a> {
    place: Place<'a>,
    observer: RawClient,
    /// The server's own relations.
    own: Arc<BTreeMap<u32, watch::Named>>,
    system: Option<System>,
    /// Definitions of the database as it is made.
    pristine: Option<Arc<Detailed>>,
    catalog: Option<Arc<Detailed>>,
    count: Count,
    /// Case, and what is not covered.
    found: Vec<(String, String)>,
    verbose: bool,
}

impl<'a> Work<'a> {
    fn new(place: Place<'a>) -> anyhow::Result<Self> {
        let parameters = [("user", "raw"), ("database", "postgres")];
        let mut observer = RawClient::log_in_with(place.address(), &parameters, "")?;
        let own = Arc::new(watch::system(&mut observer)?);
        let (system, pristine, catalog) = Default::default();
        let (count, found) = Default::default();
        let verbose = std::env::var_os("PORTCULLIS_CASE").is_some();
        Ok(Self { place, observer, own, system, pristine, catalog, count, found, verbose })
    }

    /// A case from log-in to end, after which nothing is left to be counted.
    fn whole_case(&mut self, case: &Case) -> anyhow::Result<()> {
        self.place.as_superuser(|c| place::good(c, "SELECT pg_stat_force_next_flush()"))?;
        self.count.cases += 1;
        if let Err(error) = self.case(case) {
            self.report(case, vec![format!("it does not run: {error:#}")]);
            self.catalog = None;
        }
        Ok(())
    }

    /// All that is sent for a case, statement by statement.
    fn case(&mut self, case: &Case) -> anyhow::Result<()> {
        let (protocols, sessions) = (case.list("protocol"), case.list("session"));
        let at = |all: &[&str], n: usize, default: &str| -> String {
            all.get(n).or(all.last()).map_or(default, |s| *s).to_owned()
        };
        let mut clients: BTreeMap<String, Session> = BTreeMap::new();
        for (n, statement) in case.statements.iter().enumerate() {
            let name = at(&sessions, n, "");
            if !clients.contains_key(&name) {
                let client = self.place.client(case)?;
                let process = client.cancel_key.as_ref().map_or(0, |(process, _)| *process);
                let names = Names::default();
                clients.insert(name.clone(), Session { client, process, status: b'I', names });
            }
            let Some(session) = clients.get_mut(&name) else { continue };
            let guess = case.value("infer").and_then(|g| g.split(" | ").next()).unwrap_or("");
            let text = self.place.fill(statement, guess);
            let protocol = at(&protocols, n, "simple");
            let request = self.request(case, n, &text, &protocol, guess)?;
            let first = n == 0 && protocol == "pipeline";
            if first {
                session.client.query("BEGIN")?;
                session.status = b'T';
            }
            self.count.statements += 1;
            self.step(case, session, &request)?;
        }
        for session in clients.values_mut() {
            if session.status != b'I' {
                self.catalog = None;
            }
            // What it counted is not to be added while another case is looked at.
            session.client.query("ROLLBACK")?;
            session.client.query("SELECT pg_catalog.pg_stat_force_next_flush()")?;
        }
        Ok(())
    }

    fn request(
        &self,
        case: &Case,
        n: usize,
        text: &str,
        protocol: &str,
        guess: &str,
    ) -> anyhow::Result<Request> {
        let data = case.value("data").map(|d| self.place.fill(d, guess));
        if protocol == "script" {
            let (texts, bytes) = (script::texts(text)?.unwrap_or_default(), Vec::new());
            return Ok(Request { texts, bytes, data, script: Some(text.to_owned()) });
        }
        let sent = if case.has("bytes") { unescaped(text)? } else { text.as_bytes().to_vec() };
        let texts = vec![(String::from_utf8_lossy(&sent).into_owned(), Vec::new())];
        let bound = case.bound(n)?;
        let bytes = match (protocol, &bound) {
            ("simple" | "copy", None) => message(b'Q', &[&sent[..], b"\0"].concat()),
            _ => {
                let mut bound = bound.unwrap_or_default();
                for value in bound.iter_mut().flatten() {
                    *value = self.place.fill(value, guess);
                }
                [extended(&sent, &bound, protocol == "binary"), message(b'S', b"")].concat()
            }
        };
        Ok(Request { texts, bytes, data, script: None })
    }

    /// Runs one request, and compares.
    fn step(
        &mut self,
        case: &Case,
        session: &mut Session,
        request: &Request,
    ) -> anyhow::Result<()> {
        let failed = session.status == b'E';
        let before = if failed { None } else { Some(Measure::take(&mut session.client)?) };
        let definitions = self.definitions(session)?;
        let catalog = definitions.catalog();
        let (mut claims, parts, controls) = claim(request, catalog, &mut session.names);
        let Some(before) = before else {
            self.catalog = None;
            return self.send(session, request, case).map(|_| ());
        };
        // The gateway lets nobody come this far: texts mean something else here.
        claims.everything |=
            before.settings.get("standard_conforming_strings").is_some_and(|s| s != "on");
        let single = request.script.is_none() && parts == 1;
        self.count.unread += usize::from(claims.everything);
        self.count.code += usize::from(!claims.everything && claims.runs_code());
        let mut missing = Vec::new();
        let own = Arc::clone(&self.own);
        let check = Check { claims: &claims, catalog, names: &before.names, own: &own };
        let trees = self.count.trees;
        if single {
            missing.extend(self.text(session, request, &check, &before)?);
        }
        let planned = self.count.trees > trees;
        let wrapped = request.script.is_none() && !controls && !claims.everything;
        let ran = match wrapped {
            true => self.inside(session, request, case)?,
            false => None,
        };
        let (seen, locks, changed) = match ran {
            Some(ran) => ran,
            None => (self.send(session, request, case)?, BTreeSet::new(), true),
        };
        missing.extend(self.columns(&seen, &claims, single));
        if session.status == b'E' {
            // Its counters cannot be asked for any more.
            self.catalog = None;
            self.report(case, missing);
            return Ok(());
        }
        let after = Measure::take(&mut session.client)?;
        let difference = after.since(&before);
        let names: BTreeMap<_, _> =
            before.names.iter().chain(&after.names).map(|(k, v)| (*k, v.clone())).collect();
        let check = Check { claims: &claims, catalog, names: &names, own: &own };
        if self.verbose {
            let effects: Vec<_> = claims.effects.iter().map(ToString::to_string).collect();
            eprintln!(
                "   claims {}{}",
                effects.join(", "),
                if claims.everything { " *" } else { "" }
            );
            eprintln!("   seen {difference:?} {locks:?}");
        }
        self.tally(&difference, &locks);
        missing.extend(check.of_run(&difference, &locks, &after.defaults, planned));
        if changed {
            missing.extend(self.redefined(session, &definitions, &check)?);
        }
        self.report(case, missing);
        Ok(())
    }

    fn report(&mut self, case: &Case, missing: Vec<String>) {
        let name = format!("{}: {}", case.file, case.title);
        self.found.extend(missing.into_iter().map(|what| (name.clone(), what)));
    }

    fn tally(&mut self, seen: &watch::Difference, locks: &BTreeSet<Lock>) {
        self.count.relations += seen.counts.values().filter(|c| c[0]).count();
        self.count.written += seen.counts.values().filter(|c| c[1..].contains(&true)).count();
        self.count.functions += seen.called.len();
        self.count.settings += seen.settings.len();
        self.count.locks += locks.len();
    }

    /// Definitions as the session has them.
    fn definitions(&mut self, session: &mut Session) -> anyhow::Result<Arc<Detailed>> {
        if let Some(known) = &self.catalog {
            return Ok(Arc::clone(known));
        }
        let inside = session.status == b'T';
        let database = self.place.database.clone();
        let fresh = watch::catalog(&mut session.client, &database, &mut self.system, inside)?;
        let fresh = Arc::new(fresh);
        self.catalog = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// Definitions that the statement has changed without a claim.
    fn redefined(
        &mut self,
        session: &mut Session,
        before: &Detailed,
        check: &Check<'_>,
    ) -> anyhow::Result<Vec<String>> {
        self.catalog = None;
        if session.status == b'E' {
            return Ok(Vec::new());
        }
        let now = self.definitions(session)?;
        let all = |definitions: &Detailed| {
            // Where code runs, all of them count.
            let mut operation = Operation::unreadable();
            operation.effects[0].verb = Verb::Execute;
            definitions.definitions(&operation).context("without all digests")
        };
        let (before, after) = (all(before)?, all(&now)?);
        let other = before.keys().chain(after.keys()).collect::<BTreeSet<_>>().into_iter();
        let other = other.filter(|name| before.get(*name) != after.get(*name));
        // The text of a view that stays depends on where names are looked for.
        let stays = |name: &str| before.contains_key(name) && after.contains_key(name);
        let other = other.filter(|name| !(name.starts_with("view ") && stays(name)));
        Ok(check.of_definitions(other.map(String::as_str), now.catalog()))
    }

    /// What the server makes of a text, in a transaction that is given up.
    fn text(
        &mut self,
        session: &mut Session,
        request: &Request,
        check: &Check<'_>,
        before: &Measure,
    ) -> anyhow::Result<Vec<String>> {
        let (open, close) = around(session.status);
        session.client.query(open)?;
        let tree = watch::tree(&mut session.client, request.texts[0].0.as_bytes());
        session.client.query(close)?;
        let Some(tree) = tree? else { return Ok(Vec::new()) };
        self.count.trees += 1;
        if self.verbose {
            eprintln!("   tree {tree:?}");
        }
        Ok(check.of_text(&tree, &before.operators))
    }

    /// Runs a request in a transaction, or in a part of the session's own. `None` where it does not
    /// run so.
    fn inside(
        &mut self,
        session: &mut Session,
        request: &Request,
        case: &Case,
    ) -> anyhow::Result<Option<(Vec<Message>, BTreeSet<Lock>, bool)>> {
        let own = session.status == b'I';
        if own {
            session.client.query("BEGIN")?;
        }
        let held = watch::locks(&mut self.observer, session.process)?;
        session.client.query("SAVEPOINT oracle")?;
        let seen = self.send(session, request, case)?;
        let code = error_code(&seen);
        if own && code.as_ref().is_some_and(|code| ALONE.contains(&code.as_str())) {
            session.client.query("ROLLBACK")?;
            session.status = b'I';
            return Ok(None);
        }
        if own && code.is_none() {
            // What was put off until the end runs while its locks can be seen.
            session.client.query("SET CONSTRAINTS ALL IMMEDIATE")?;
        }
        let changed = code.is_none() && watch::changed(&mut session.client)?;
        let mut locks = watch::locks(&mut self.observer, session.process)?;
        locks.retain(|lock| !held.contains(lock));
        let end = match (own, code.is_some()) {
            (true, false) => "COMMIT",
            (true, true) => "ROLLBACK",
            (false, false) => "RELEASE SAVEPOINT oracle",
            (false, true) => "ROLLBACK TO SAVEPOINT oracle; RELEASE SAVEPOINT oracle",
        };
        session.client.query(end)?;
        session.status = if own { b'I' } else { b'T' };
        Ok(Some((seen, locks, changed)))
    }

    /// Sends a request as it is, and reads its answer.
    fn send(
        &mut self,
        session: &mut Session,
        request: &Request,
        case: &Case,
    ) -> anyhow::Result<Vec<Message>> {
        if let Some(text) = &request.script {
            let (seen, ended) = script::messages(&mut session.client, text)?;
            anyhow::ensure!(ended.is_none(), "{case}: {ended:?}");
            session.status = status(&seen).unwrap_or(session.status);
            return Ok(seen);
        }
        session.client.send(&request.bytes)?;
        let mut seen = Vec::new();
        loop {
            let Some(one) = session.client.receive()? else { anyhow::bail!("{case}: closed") };
            let tag = one.tag;
            seen.push(one);
            match (tag, &request.data) {
                (b'G', Some(data)) => {
                    let bytes = [message(b'd', data.as_bytes()), message(b'c', b"")].concat();
                    session.client.send(&bytes)?;
                }
                (b'G', None) => session.client.send(&message(b'f', b"no data\0"))?,
                (b'Z', _) => break,
                _ => {}
            }
        }
        session.status = status(&seen).unwrap_or(b'I');
        if self.verbose {
            eprintln!("-- {case}\n{}", place::shown(&seen));
        }
        Ok(seen)
    }

    /// Where the server says that a column comes from, the lineage says so too.
    fn columns(&mut self, seen: &[Message], claims: &Claims, single: bool) -> Vec<String> {
        let (true, Some(outputs)) = (single, &claims.outputs) else { return Vec::new() };
        // A rule may answer in place of the statement; and a text may mean something else here.
        if claims.everything || claims.runs_code() && outputs.is_empty() {
            return Vec::new();
        }
        let Some(description) = seen.iter().find(|m| m.tag == b'T') else { return Vec::new() };
        let columns = sources(&description.body);
        if columns.len() != outputs.len() {
            return vec![format!("{} columns instead of {}", columns.len(), outputs.len())];
        }
        let mut missing = Vec::new();
        for (source, origin) in columns.into_iter().zip(outputs) {
            let Some(column) = source else { continue };
            self.count.columns += 1;
            let row = ColumnRef { column: 0, ..column };
            let covered = match origin {
                Origin::Columns(all) => all.contains(&column) || all.contains(&row),
                Origin::Untraced => true,
            };
            if !covered {
                missing.push(format!("column {} of {}", column.column, column.relation));
            }
        }
        missing
    }
}

/// Statements that leave no trace around them.
fn around(status: u8) -> (&'static str, &'static str) {
    match status {
        b'T' => ("SAVEPOINT oracle", "ROLLBACK TO SAVEPOINT oracle; RELEASE SAVEPOINT oracle"),
        _ => ("BEGIN", "ROLLBACK"),
    }
}

/// What ReadyForQuery says last.
fn status(seen: &[Message]) -> Option<u8> {
    seen.iter().rev().find(|m| m.tag == b'Z').and_then(|m| m.body.first().copied())
}

fn error_code(seen: &[Message]) -> Option<String> {
    let error = seen.iter().find(|m| m.tag == b'E')?;
    let text = fields(&error.body);
    Some(text.split(' ').find_map(|word| word.strip_prefix("C=")).unwrap_or_default().to_owned())
}

/// The stored columns that a RowDescription names.
fn sources(body: &[u8]) -> Vec<Option<ColumnRef>> {
    let mut rest = body.get(2..).unwrap_or_default();
    let mut found = Vec::new();
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        let fixed = &rest[end + 1..end + 19];
        let relation = u32::from_be_bytes([fixed[0], fixed[1], fixed[2], fixed[3]]);
        let column = i16::from_be_bytes([fixed[4], fixed[5]]);
        found.push((relation > 0 && column > 0).then_some(ColumnRef { relation, column }));
        rest = &rest[end + 19..];
    }
    found
}

/// What is claimed of a request, of how many statements, and whether it steers transactions. Takes
/// down what names stand for.
fn claim(request: &Request, catalog: &Catalog, names: &mut Names) -> (Claims, usize, bool) {
    let (mut claims, mut count, mut controls) = (Claims::default(), 0, false);
    claims.everything = request.texts.is_empty();
    for (text, types) in &request.texts {
        claims.effects.extend(types.iter().filter_map(|oid| {
            let object = catalog.code_of_literals(*oid)?;
            Some(Effect::resolved(Verb::Execute, object, Extent::Unknown))
        }));
        let Ok(analysis) = analyse(text, catalog, &Limits::default()) else {
            claims.everything = true;
            continue;
        };
        count += analysis.statements.len();
        learn(text, &analysis, names);
        for statement in &analysis.statements {
            controls |= statement.transaction != TransactionChange::None;
            if statement.transaction == TransactionChange::Commit {
                // What was put off was claimed by what put it off.
                claims.effects.extend(std::mem::take(&mut names.put_off));
            } else {
                names.put_off.extend(statement.effects.iter().cloned());
            }
            claims.add(statement, &|change| behind(change, names, catalog, 0));
        }
        if let [one] = analysis.statements.as_slice() {
            claims.outputs = one.lineage.as_ref().and_then(|l| l.outputs.clone());
        }
    }
    (claims, count, controls)
}

fn learn(text: &str, analysis: &Analysis, names: &mut Names) {
    for statement in &analysis.statements {
        match &statement.names {
            NameChange::Prepare { name, .. } => {
                names.prepared.insert(name.to_string(), text.to_owned());
            }
            NameChange::Declare { name, .. } => {
                names.cursors.insert(name.to_string(), text.to_owned());
            }
            _ => {}
        }
    }
}

/// What a name stands for, by the text that made it and definitions of now.
fn behind(change: &NameChange, names: &Names, catalog: &Catalog, depth: usize) -> Option<Claims> {
    let (wanted, text) = match change {
        NameChange::Execute { name } => (name, names.prepared.get(&**name)?),
        NameChange::Fetch { name } => (name, names.cursors.get(&**name)?),
        _ => return None,
    };
    if depth > 8 {
        return None;
    }
    let analysis = analyse(text, catalog, &Limits::default()).ok()?;
    let mut claims = Claims::default();
    for statement in &analysis.statements {
        if let NameChange::Prepare { name, inner } | NameChange::Declare { name, inner } =
            &statement.names
            && name == wanted
        {
            claims.add(inner, &|change| behind(change, names, catalog, depth + 1));
        }
    }
    Some(claims)
}

/// Runs cases of the bypass corpus, each in the shop with its traps as it was.
fn hostile(work: &mut Work<'_>, cases: &[&Case]) -> anyhow::Result<()> {
    let (mut clean, mut pristine) = (false, String::new());
    for case in cases {
        let mut fresh = !clean;
        if !clean {
            work.place.create()?;
            pristine = work.place.fingerprint()?;
        }
        if work.pristine.is_none() {
            let (database, system) = (&work.place.database, &mut work.system);
            let read = |c: &mut RawClient| watch::catalog(c, database, system, false);
            work.pristine = Some(Arc::new(work.place.as_superuser(read)?));
        }
        work.place.tell(case, "setup")?;
        work.place.learn(case)?;
        // Where something was defined, not all of it may have been put back.
        let same = |known: &Arc<Detailed>| {
            work.pristine.as_ref().is_some_and(|pristine| Arc::ptr_eq(known, pristine))
        };
        fresh |= work.catalog.as_ref().is_some_and(same);
        work.catalog = work.pristine.clone().filter(|_| fresh && !case.has("setup"));
        work.whole_case(case)?;
        work.place.tell(case, "cleanup")?;
        clean = work.place.is_clean(case, &pristine);
    }
    Ok(())
}

/// The names of cases with what is not covered, from lines of `case | what -- reason`.
fn exceptions() -> BTreeSet<(String, String)> {
    let lines = include_str!("exceptions").lines();
    let lines = lines.filter(|line| !line.starts_with('#') && !line.is_empty());
    let part = |line: &str| {
        let (rest, _) = line.split_once(" -- ").expect("a reason");
        let (case, what) = rest.split_once(" | ").expect("what is not covered");
        (case.to_owned(), what.to_owned())
    };
    lines.map(part).collect()
}

/// The cases of a corpus, of which `PORTCULLIS_CASE` may want some.
fn cases(corpus: &str) -> Vec<Case> {
    let mut cases = corpus::read(&directory(corpus)).unwrap();
    cases.retain(|case| case.is_about(VERSION).unwrap());
    if let Ok(wanted) = std::env::var("PORTCULLIS_CASE") {
        cases.retain(|case| case.to_string().contains(&wanted));
    }
    cases
}

/// The databases: the shop as benign cases want it, and with traps in it.
fn prepare(server: &Postgres, benign: &[Case]) -> anyhow::Result<()> {
    server.sql("postgres", "CREATE DATABASE benign TEMPLATE shop")?;
    for sql in benign.iter().flat_map(|case| case.values("setup")) {
        server.sql("benign", sql)?;
    }
    let traps = fs::read_to_string(directory("bypass").join("traps.sql.in"))?;
    server.sql("shop", &traps)?;
    Ok(())
}

#[test]
fn what_statements_claim_covers_what_the_server_shows() {
    let directory = arena::directory(true).unwrap();
    let server = arena::shop(directory.path(), SETTINGS).unwrap();
    if server.version() != VERSION {
        let required =
            ["CI", "PORTCULLIS_REQUIRE_ALL"].iter().any(|v| std::env::var_os(v).is_some());
        assert!(!required, "the trees of PostgreSQL {} are not read", server.version());
        println!("the trees of PostgreSQL {} are not read", server.version());
        return;
    }
    let (bypass, benign) = (cases("bypass"), cases("benign"));
    prepare(&server, &benign).unwrap();
    let rows = place::rows(&server).unwrap();
    let worker = |n: usize| {
        let database = if n == 0 { "benign".to_owned() } else { format!("work_{n}") };
        let place = Place::new(&server, database, &rows);
        let mut work = Work::new(place).unwrap();
        let done = match n {
            0 => benign.iter().try_for_each(|case| work.whole_case(case)),
            _ => {
                let own = bypass.iter().enumerate().filter(|(at, _)| at % (WORKERS - 1) + 1 == n);
                hostile(&mut work, &own.map(|(_, case)| case).collect::<Vec<_>>())
            }
        };
        done.unwrap();
        (work.count, work.found)
    };
    let worker = &worker;
    let all: Vec<(Count, Vec<(String, String)>)> = std::thread::scope(|scope| {
        let start = |n| {
            let builder = std::thread::Builder::new().stack_size(REQUIRED_STACK * 2);
            builder.spawn_scoped(scope, move || worker(n)).unwrap()
        };
        let running: Vec<_> = (0..WORKERS).map(start).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let (mut found, mut total) = (BTreeSet::new(), Count::default());
    for (count, some) in all {
        total.add(&count);
        found.extend(some);
    }
    let excused = exceptions();
    println!("{total}; {} exceptions", excused.len());
    assert!((0..=MOST_EXCEPTIONS).contains(&excused.len()));
    let partly = std::env::var_os("PORTCULLIS_CASE").is_some();
    let stale: Vec<_> = excused.difference(&found).filter(|_| !partly).collect();
    let missing: Vec<String> =
        found.difference(&excused).map(|(case, what)| format!("{case} | {what}\n")).collect();
    assert!(missing.is_empty(), "not claimed, {}:\n{}", missing.len(), missing.concat());
    assert!(stale.is_empty(), "these are claimed now: {stale:?}");
    // Where this sees little, it proves little.
    let enough = total.cases >= 1800 && total.trees >= 2000 && total.functions >= 150;
    let enough = enough && total.written >= 250 && total.relations >= 1000 && total.unread <= 60;
    assert!(partly || enough, "{total}");
}
