//! What reading the target's definitions costs, as it is done after each change of one: `./dev bench
//! catalog`.
//!
//! The catalog of a generated schema of tables, views, types and functions (`--tables N`, 500 unless
//! told otherwise) is read in turns; `--at "host=… port=… user=… dbname=…"` reads one that is there.
//! *Server* is the time until its rows have come, *catalog* that to make them one, and *digests* what
//! is asked beside where an approval rests on definitions. Figures are the median of the turns in
//! milliseconds; `--queries` prints each query's. They are printed and never compared.

use portcullis_sandbox::postgres::{Options, Postgres};
use portcullis_sql::catalog::{Catalog, DIGESTS, System, full_queries, user_queries};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// The gateway's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TURNS: usize = 21;
const PASSWORD: &str = "of-the-bench";

type Rows = Vec<Vec<Vec<Option<String>>>>;

/// So many tables with an index, a key, a check and a default; a view over each second, a function
/// for each third; and a few types, casts and a trigger of users.
fn schema(tables: usize) -> String {
    let mut sql = String::from(
        "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
         CREATE FUNCTION positive(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0';
         CREATE DOMAIN counted AS int CHECK (positive(VALUE));
         CREATE TYPE span AS RANGE (subtype = numeric);
         CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';",
    );
    for n in 0..tables {
        write!(
            sql,
            "CREATE TABLE t{n} (id bigint PRIMARY KEY, parent bigint REFERENCES t{parent}, \
               name text NOT NULL, feels mood DEFAULT 'ok', many counted, at timestamptz \
               DEFAULT now(), total numeric CHECK (total >= 0), twice numeric GENERATED ALWAYS \
               AS (total * 2) STORED);
             CREATE INDEX ON t{n} (name, at);",
            parent = n / 2
        )
        .unwrap();
        if n % 2 == 0 {
            write!(sql, "CREATE VIEW v{n} AS SELECT id, upper(name) AS name FROM t{n};").unwrap();
        }
        if n % 3 == 0 {
            let text = format!("SELECT total FROM t{n} WHERE id = $1");
            write!(
                sql,
                "CREATE FUNCTION f{n}(bigint) RETURNS numeric LANGUAGE sql AS '{text}';
                 CREATE TRIGGER noted AFTER INSERT ON t{n} FOR EACH ROW EXECUTE FUNCTION noted();"
            )
            .unwrap();
        }
    }
    sql
}

/// The rows of each query, and how long each took.
async fn answers(client: &Client, queries: &[&str]) -> (Rows, Vec<Duration>) {
    let open = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL search_path = pg_catalog; SET LOCAL jit = off";
    client.batch_execute(open).await.unwrap();
    let (mut rows, mut took) = (Rows::new(), Vec::new());
    for query in queries {
        let started = Instant::now();
        let messages = client.simple_query(query).await.unwrap();
        took.push(started.elapsed());
        let found = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect())
            }
            _ => None,
        });
        rows.push(found.collect());
    }
    client.batch_execute("COMMIT").await.unwrap();
    (rows, took)
}

fn median(mut all: Vec<Duration>) -> f64 {
    all.sort_unstable();
    all[all.len() / 2].as_secs_f64() * 1000.0
}

async fn bench(options: &str, each: bool) {
    let (client, connection) = tokio_postgres::connect(options, NoTls).await.unwrap();
    tokio::spawn(connection);
    let (mut rows, _) = answers(&client, full_queries()).await;
    let system = System::split(&mut rows).unwrap();
    let (mut server, mut made, mut digests) = (Vec::new(), Vec::new(), Vec::new());
    let mut queries = vec![Vec::new(); user_queries().len()];
    let mut relations = 0;
    for _ in 0..TURNS {
        let (mut rows, took) = answers(&client, user_queries()).await;
        server.push(took.iter().sum());
        queries.iter_mut().zip(took).for_each(|(all, one)| all.push(one));
        let started = Instant::now();
        assert!(system.is_current(&mut rows));
        let catalog = black_box(Catalog::from_user_rows("bench", &rows, &system).unwrap());
        made.push(started.elapsed());
        relations = catalog.relations().filter(|r| !r.is_system()).count();
        let (_, took) = answers(&client, &DIGESTS).await;
        digests.push(took.iter().sum());
    }
    let (server, made, digests) = (median(server), median(made), median(digests));
    println!("{relations} relations: server {server:.1} ms, catalog {made:.1} ms");
    println!("where an approval rests on it: digests {digests:.1} ms more");
    if each {
        for (query, took) in queries.into_iter().enumerate() {
            println!("query {query:2} {:8.2} ms", median(took));
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|a| a == name)?;
        arguments.get(at + 1).cloned()
    };
    let each = arguments.iter().any(|a| a == "--queries");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Some(options) = value("--at") {
        return runtime.block_on(bench(&options, each));
    }
    let tables = value("--tables").map_or(500, |n| n.parse().expect("a number of tables"));
    let directory = tempfile::tempdir().unwrap();
    let server = Postgres::start(directory.path(), PASSWORD, &Options::default()).unwrap();
    server.sql("postgres", "CREATE DATABASE bench").unwrap();
    server.sql("bench", &schema(tables)).unwrap();
    server.sql("bench", "ANALYZE").unwrap();
    let port = server.port();
    let options =
        format!("host=127.0.0.1 port={port} user=postgres password={PASSWORD} dbname=bench");
    runtime.block_on(bench(&options, each));
}
