//! What understanding and judging a statement costs, without any network: `./dev bench facts`.
//!
//! Every statement of the corpora of benign statements and of bypasses, and pgbench's, goes the way
//! it goes in the gateway: bytes of a `Query` into a [`Conversation`], facts by the catalog of a
//! real server, a verdict of the default pack. *Cold* is a session that never saw the statement,
//! *again* one that did, with other numbers where it has a shape (`portcullis_sql::shape`). Figures
//! are ratios to the bare parser's time on the same statements in the same run; they are printed
//! and never compared. `--json` gives them to programs.

use bytes::BytesMut;
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_core::protocol::{ProtocolKind, Request as _};
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::{Approvals, Circumstances, ConnectionFacts, Standing};
use portcullis_policy::{Policies, SessionPolicy, pack};
use portcullis_sandbox::postgres::{Options, Postgres};
use portcullis_sql::catalog::{Catalog, QUERIES};
use portcullis_sql::statement::{Analysis, Unreadable};
use portcullis_sql::{Known, Limits, REQUIRED_STACK, shape::shape};
use portcullis_testkit::{arena::SHOP, corpus, raw::message};
use portcullis_wire::pg::conversation::{Analyst, Conversation, Turn};
use portcullis_wire::pg::message::Limits as WireLimits;
use serde_json::json;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The gateway's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;
const PASSWORD: &str = "of-the-bench";
/// pgbench's built-in scripts, with numbers in place of its variables.
const PGBENCH: [&str; 6] = [
    "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;",
    "UPDATE pgbench_accounts SET abalance = abalance + 42 WHERE aid = 4711;",
    "UPDATE pgbench_tellers SET tbalance = tbalance + 42 WHERE tid = 3;",
    "UPDATE pgbench_branches SET bbalance = bbalance + 42 WHERE bid = 1;",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (3, 1, 4711, 42, CURRENT_TIMESTAMP);",
    "BEGIN;",
];

/// What sets the policies for the commonest kinds of effects out.
const WARM: [&str; 5] = [
    "SELECT status, total + 1 FROM orders, payments",
    "UPDATE payments SET amount = -1",
    "DELETE FROM payments",
    "INSERT INTO payments VALUES (-1)",
    "BEGIN READ WRITE",
];

/// What a session of the gateway takes statements apart with.
struct Session {
    catalog: Arc<Catalog>,
    known: Mutex<Known>,
}

impl Analyst for Session {
    fn analyse(&self, text: &str) -> Result<Arc<Analysis>, Unreadable> {
        self.known.lock().unwrap().analyse(text, &self.catalog, &Limits::default())
    }
}

struct Bench {
    catalog: Arc<Catalog>,
    policies: Arc<Policies>,
    standing: Standing,
}

/// One statement's times, in nanoseconds: the best of some rounds.
#[derive(Clone, Copy)]
struct Times {
    bare: u64,
    cold: u64,
    /// The part of it that is the verdict.
    verdict: u64,
    again: u64,
}

impl Bench {
    fn session(&self) -> (Conversation, SessionPolicy) {
        let known = Mutex::new(Known::default());
        let analyst = Session { catalog: self.catalog.clone(), known };
        let policy = self.policies.for_session(&self.standing, &["agents".to_owned()]);
        (Conversation::new(Arc::new(analyst), WireLimits::default()), policy)
    }

    /// From a message's bytes to a verdict: how long the verdict took, in nanoseconds, if it could be
    /// read.
    fn judge(&self, session: &mut (Conversation, SessionPolicy), bytes: &[u8]) -> Option<u64> {
        let (conversation, policy) = session;
        let mut buffer = BytesMut::from(bytes);
        match conversation.next(&mut buffer).unwrap() {
            Some(Turn::Unit(unit)) => {
                let circumstances = Circumstances::default();
                let verdict =
                    timed(|| policy.decide(unit.operation(), &circumstances, &Approvals::new()));
                conversation.refused(unit.shape());
                Some(verdict)
            }
            Some(Turn::Unformed(unformed)) => {
                conversation.refused(unformed.shape);
                None
            }
            other => panic!("{other:?}"),
        }
    }

    /// `None` where the statement is none.
    fn times(&self, text: &str) -> Option<Times> {
        pg_query::parse(text, 0).ok()?;
        let query = |text: &str| message(b'Q', &[text.as_bytes(), b"\0"].concat());
        let bytes = query(text);
        let others = [1, 2].map(|n| query(&other_numbers(text, n)));
        let mut best = Times { bare: u64::MAX, cold: u64::MAX, verdict: u64::MAX, again: u64::MAX };
        for _ in 0..ROUNDS {
            best.bare = best.bare.min(timed(|| pg_query::parse(text, 0)));
            let mut session = self.session();
            // The first statement of a session also sets its policies out, which is no cost of its own.
            WARM.iter().for_each(|warm| {
                self.judge(&mut session, &query(warm));
            });
            session.0 = self.session().0;
            let mut verdict = None;
            best.cold = best.cold.min(timed(|| verdict = self.judge(&mut session, &bytes)));
            best.verdict = best.verdict.min(verdict.unwrap_or(0));
            self.judge(&mut session, &others[0]);
            best.again = best.again.min(timed(|| self.judge(&mut session, &others[1])));
        }
        Some(best)
    }
}

/// The text with other numbers, where it has a shape that allows for them.
fn other_numbers(text: &str, n: u32) -> String {
    match shape(text) {
        Some(shape) => {
            let mut out = String::new();
            let mut rest = shape.as_str();
            while let Some(at) = rest.find('0') {
                let (head, tail) = rest.split_at(at);
                out.push_str(head);
                let joined = |c: Option<char>| {
                    c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.')
                };
                let alone = !joined(out.chars().last()) && !joined(tail[1..].chars().next());
                out.push_str(&if alone { n.to_string() } else { "0".to_owned() });
                rest = &tail[1..];
            }
            out + rest
        }
        None => text.to_owned(),
    }
}

fn timed<T>(run: impl FnOnce() -> T) -> u64 {
    let begin = Instant::now();
    drop(black_box(run()));
    u64::try_from(begin.elapsed().as_nanos()).unwrap()
}

fn at(sorted: &[u64], quantile: f64) -> f64 {
    let place = ((sorted.len() as f64 * quantile) as usize).min(sorted.len() - 1);
    sorted[place] as f64 / 1e3
}

/// The figures of one set of statements.
fn row(bench: &Bench, name: &str, texts: &[String]) -> serde_json::Value {
    let times: Vec<Times> = texts.iter().filter_map(|text| bench.times(text)).collect();
    let shaped = texts.iter().filter(|text| shape(text).is_some()).count();
    let sorted = |of: fn(&Times) -> u64| {
        let mut all: Vec<u64> = times.iter().map(of).collect();
        all.sort_unstable();
        all
    };
    let sum = |all: &[u64]| all.iter().sum::<u64>() as f64;
    let (bare, cold, again) = (sorted(|t| t.bare), sorted(|t| t.cold), sorted(|t| t.again));
    let verdict = sorted(|t| t.verdict);
    let figures = |all: &[u64]| json!({ "p50_us": at(all, 0.5), "p99_us": at(all, 0.99), "ratio": sum(all) / sum(&bare) });
    json!({
        "set": name, "statements": times.len(), "with_shape": shaped,
        "bare": figures(&bare), "cold": figures(&cold), "again": figures(&again),
        "verdict": figures(&verdict),
    })
}

/// Most memory the process has had, in KiB, since [`forget_peak`].
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// Texts as long as one may be, made to be dear.
fn long_texts() -> Vec<(&'static str, String)> {
    let list = |begin: &str, each: &str, end: &str| {
        let count = (Limits::default().text - begin.len() - end.len()) / each.len();
        format!("{begin}{}{end}", each.repeat(count))
    };
    vec![
        ("select *,*,…", list("select ", "*,", "* from customers")),
        ("select a,a,…", list("select ", "id,", "id from customers")),
        ("in (1,1,…)", list("select 1 from customers where id in (", "1,", "1)")),
        ("values (1),(1),…", list("insert into boxes values ", "(1),", "(1)")),
        ("1+1+…", list("select ", "1+", "1")),
        ("a and a and …", list("select 1 from customers where ", "id>0 and ", "true")),
        ("one long string", list("select '", "x", "'")),
        ("statements ;", list("", "select 1;", "").chars().take(9 * 256).collect()),
    ]
}

/// One of the long texts, in a process that has done nothing else: memory that one leaves behind
/// would hide what another takes.
fn long(which: usize) -> serde_json::Value {
    let bench = bench(fixture());
    let (name, text) = long_texts().swap_remove(which);
    let bytes = message(b'Q', &[text.as_bytes(), b"\0"].concat());
    let mut session = bench.session();
    forget_peak();
    let base = peak();
    let mut read = None;
    let cold = timed(|| read = bench.judge(&mut session, &bytes));
    let peak = peak().saturating_sub(base);
    // After it, so that pages are there for both: the bare parse is not made to look dear.
    let bare = timed(|| pg_query::parse(&text, 0));
    json!({
        "text": name, "bytes": text.len(), "read": read.is_some(), "bare_ms": bare as f64 / 1e6,
        "cold_ms": cold as f64 / 1e6, "ratio": cold as f64 / bare as f64,
        "peak_mib": peak as f64 / 1024.0,
    })
}

/// All of them.
fn longs() -> Vec<serde_json::Value> {
    let run = |which: usize| {
        let program = std::env::current_exe().unwrap();
        let output = Command::new(program).args(["--long", &which.to_string()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    (0..long_texts().len()).map(run).collect()
}

/// The catalog of the tests of `portcullis-sql`.
fn fixture() -> Catalog {
    let text = include_str!("../crates/sql/tests/data/shop-catalog.tsv");
    let field = |f: &str| (f != "\\N").then(|| f.replace("\\n", "\n"));
    let result = |lines: &str| lines.lines().map(|l| l.split('\t').map(field).collect()).collect();
    let rows: Vec<_> = text.split("==\n").skip(1).map(result).collect();
    Catalog::from_rows("shop", &rows).unwrap()
}

/// The shop and pgbench's tables, as a real server describes them.
fn catalog() -> Catalog {
    let directory = tempfile::tempdir().unwrap();
    let server = Postgres::start(directory.path(), PASSWORD, &Options::default()).unwrap();
    server.sql("postgres", "CREATE DATABASE shop").unwrap();
    server.sql("shop", &format!("\\set app_password {PASSWORD}\n{SHOP}")).unwrap();
    let port = server.port();
    let status = Command::new(server.program_directory().join("pgbench"))
        .args(["-i", "-q", "-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres", "shop"])
        .env("PGPASSWORD", PASSWORD)
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let options =
        format!("host=127.0.0.1 port={port} user=postgres password={PASSWORD} dbname=shop");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(&options, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let mut results = Vec::new();
        for query in QUERIES {
            let messages = client.simple_query(query).await.unwrap();
            let rows = messages.iter().filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect())
                }
                _ => None,
            });
            results.push(rows.collect());
        }
        Catalog::from_rows("shop", &results).unwrap()
    })
}

fn bench(catalog: Catalog) -> Bench {
    let principal = Principal {
        kind: PrincipalKind::Agent,
        subject: "bench".to_owned(),
        name: "bench".to_owned(),
        issuer: "https://idp.example".to_owned(),
        acting_for: None,
        acting_for_issuer: None,
        email: None,
        groups: ["agents".to_owned()].into(),
        token_id: None,
        expires: Timestamp::from_micros(0),
    };
    let connection = ConnectionFacts {
        name: "shop".to_owned(),
        environment: "bench".to_owned(),
        protocol: ProtocolKind::Postgres,
        database: "shop".to_owned(),
        role: "owner".to_owned(),
    };
    let text = pack("agent-safe").unwrap().to_owned();
    let policies = Policies::load(&[("agent-safe".to_owned(), text)]).unwrap();
    let standing = Standing { principal, connection };
    Bench { catalog: Arc::new(catalog), policies: Arc::new(policies), standing }
}

fn statements(directory: &str) -> Vec<String> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(directory);
    let cases = corpus::read(&corpora).unwrap();
    let once: std::collections::BTreeSet<_> =
        cases.into_iter().flat_map(|c| c.statements).collect();
    once.into_iter().collect()
}

fn run() {
    let mut arguments = std::env::args().skip_while(|a| a != "--long").skip(1);
    if let Some(which) = arguments.next() {
        println!("{}", long(which.parse().unwrap()));
        return;
    }
    let bench = bench(catalog());
    let sets = [
        ("pgbench", PGBENCH.map(str::to_owned).to_vec()),
        ("benign", statements("benign")),
        ("bypass", statements("bypass")),
    ];
    let rows: Vec<_> = sets.iter().map(|(name, texts)| row(&bench, name, texts)).collect();
    let long = longs();
    if std::env::args().any(|a| a == "--json") {
        let all = json!({ "statements": rows, "long_texts": long });
        println!("{}", serde_json::to_string_pretty(&all).unwrap());
        return;
    }
    println!(
        "| set | statements (with a shape) | bare parse p50 / p99 µs | cold | of it the verdict | again | \
         cold / bare | again / bare |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for row in rows {
        let spread = |of: &str| {
            let figure = |q: &str| row[of][q].as_f64().unwrap();
            format!("{:.1} / {:.1}", figure("p50_us"), figure("p99_us"))
        };
        println!(
            "| {} | {} ({}) | {} | {} | {} | {} | {:.2} | {:.2} |",
            row["set"].as_str().unwrap(),
            row["statements"],
            row["with_shape"],
            spread("bare"),
            spread("cold"),
            spread("verdict"),
            spread("again"),
            row["cold"]["ratio"].as_f64().unwrap(),
            row["again"]["ratio"].as_f64().unwrap(),
        );
    }
    println!("\n| longest text | KiB | bare parse ms | cold ms | cold / bare | peak MiB |");
    println!("|---|---|---|---|---|---|");
    for row in long {
        let figure = |of: &str| row[of].as_f64().unwrap();
        println!(
            "| {}{} | {:.0} | {:.1} | {:.1} | {:.2} | {:.1} |",
            row["text"].as_str().unwrap(),
            if row["read"] == true { "" } else { " (refused)" },
            figure("bytes") / 1024.0,
            figure("bare_ms"),
            figure("cold_ms"),
            figure("ratio"),
            figure("peak_mib"),
        );
    }
}

fn main() {
    // Sessions run on threads like this one.
    let thread = std::thread::Builder::new().stack_size(REQUIRED_STACK).spawn(run).unwrap();
    thread.join().unwrap();
}
