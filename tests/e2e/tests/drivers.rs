//! Drivers of five languages see the same through the gateway, with everything allowed, as from
//! the server itself.

use portcullis_testkit::arena::{Arena, Setup, Shared};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

static ARENA: Shared = Shared::new();

fn arena() -> Arc<Arena> {
    ARENA.get(|| Arena::start(&Setup::allow_all()).unwrap())
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Where `./dev test` puts the drivers; without it there is nothing to run.
fn tools() -> PathBuf {
    let tools = std::env::var_os("PORTCULLIS_TOOLS").expect("run by `./dev test`, which sets it");
    PathBuf::from(tools)
}

fn run(command: &mut Command, environment: &[(&str, String)]) -> String {
    let output = command.envs(environment.iter().map(|(k, v)| (k, v))).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The two transcripts, key by key.
fn equal(make: impl Fn() -> Command) {
    let direct = run(&mut make(), &arena().direct());
    let through = run(&mut make(), &arena().through("claude").unwrap());
    let (direct, through): (Value, Value) =
        (serde_json::from_str(&direct).unwrap(), serde_json::from_str(&through).unwrap());
    let (direct, through) = (direct.as_object().unwrap(), through.as_object().unwrap());
    assert!(direct.len() > 3, "the client did almost nothing: {direct:?}");
    let mut differences = Vec::new();
    for (name, expected) in direct {
        let seen = through.get(name);
        if seen != Some(expected) {
            differences.push(format!("{name}\n  direct:  {expected}\n  through: {seen:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(direct.len(), through.len());
}

#[test]
fn python() {
    let _held = arena();
    equal(|| {
        let mut command = Command::new(tools().join("venv/bin/python"));
        command.arg(clients().join("python/transcript.py"));
        command
    });
}

#[test]
fn node() {
    let _held = arena();
    equal(|| {
        let mut command = Command::new("node");
        command.arg("transcript.mjs").current_dir(clients().join("node"));
        command
    });
}

#[test]
fn go() {
    let _held = arena();
    equal(|| Command::new(tools().join("go-client")));
}

#[test]
fn java() {
    let _held = arena();
    equal(|| {
        let java = tools().join("java");
        let jar = java.join("e2e-clients-1.jar");
        let mut command = Command::new("java");
        command
            .arg("-cp")
            .arg(format!("{}:{}/dependency/*", jar.display(), java.display()))
            .arg("Transcript");
        command
    });
}

fn psql(environment: &[(&str, String)], arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(arena().server.program_directory().join("psql"));
    command.args(["-X", "-a"]).args(arguments).args(["-f", "-"]);
    let mut child = command
        .envs(environment.iter().map(|(k, v)| (k, v)))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn psql_sees_the_same() {
    let _held = arena();
    let script = r"
SELECT id, name, city FROM customers ORDER BY id LIMIT 5;
\d customers
\d orders
\dt
\df
SELECT id, total FROM orders ORDER BY id LIMIT 1 \gdesc
\copy (SELECT id, status FROM orders WHERE id < 5 ORDER BY id) TO STDOUT
\copy (SELECT id, status FROM orders WHERE id < 5 ORDER BY id) TO STDOUT CSV HEADER
CREATE TEMP TABLE t (id int, v text);
\copy t FROM STDIN
1	one
2	two
\.
SELECT * FROM t ORDER BY id;
\copy t FROM STDIN
x	bad
\.
SELECT count(*) FROM t;
BEGIN; UPDATE orders SET note = 'x' WHERE id = 5; SELECT note FROM orders WHERE id = 5; ROLLBACK;
SELECT 1/0;
SELECT 1; SELECT 2; SELECT 'after';
BEGIN;
SELECT nonsense;
SELECT 1;
ROLLBACK;
PREPARE p AS SELECT id FROM orders WHERE id = $1;
EXECUTE p(7);
DEALLOCATE p;
BEGIN; DECLARE c CURSOR FOR SELECT id FROM orders ORDER BY id; FETCH 3 FROM c; MOVE 10 IN c; FETCH 2 FROM c; CLOSE c; COMMIT;
DO $$ BEGIN RAISE NOTICE 'hello %', 1; END $$;
SET application_name = 'x'; SHOW application_name;
LISTEN ch; NOTIFY ch, 'payload';
SELECT * FROM customer_contacts ORDER BY id LIMIT 2;
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE id = 1;
SELECT repeat('x', 100000) = repeat('x', 100000), length(repeat('y', 2000000));
\set FETCH_COUNT 10
SELECT id FROM orders ORDER BY id LIMIT 25;
\q
";
    let direct = psql(&arena().direct(), &[], script);
    let through = psql(&arena().through("claude").unwrap(), &[], script);
    // The notification names the backend that sent it.
    let steady = |text: &str| {
        let keep = |line: &&str| !line.starts_with("Asynchronous notification");
        text.lines().filter(keep).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(steady(&direct), steady(&through));
    assert!(direct.contains("hello 1") && direct.contains("payload"), "{direct}");
}

#[test]
fn pgbench_runs_in_every_mode() {
    let held = arena();
    let programs = held.server.program_directory();
    let init = Command::new(programs.join("pgbench"))
        .args(["-i", "-q", "-s", "1"])
        .envs(arena().direct().iter().map(|(k, v)| (k, v)))
        .output()
        .unwrap();
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    let through = arena().through("claude").unwrap();
    for mode in ["simple", "extended", "prepared"] {
        for script in [&["-S"][..], &[]] {
            let output = Command::new(programs.join("pgbench"))
                .args(["-n", "-M", mode, "-c", "4", "-j", "1", "-t", "50"])
                .args(script)
                .envs(through.iter().map(|(k, v)| (k, v)))
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
            assert!(text.contains("number of transactions actually processed: 200/200"), "{text}");
            assert!(text.contains("number of failed transactions: 0"), "{text}");
        }
    }
    let history = arena().truth("SELECT count(*) FROM pgbench_history").unwrap();
    assert_eq!(history, "600");
}

#[test]
fn pg_dump_writes_the_same() {
    let _held = arena();
    let dump = |environment: &[(&str, String)]| {
        let mut command = Command::new(arena().server.program_directory().join("pg_dump"));
        command.args(["-t", "orders", "-t", "customers"]);
        let text = run(&mut command, environment);
        // Newer versions fence the dump with a random word.
        let keep = |line: &&str| !line.contains("restrict ");
        text.lines().filter(keep).collect::<Vec<_>>().join("\n")
    };
    let through = dump(&arena().through("claude").unwrap());
    assert_eq!(dump(&arena().direct()), through);
    assert!(through.contains("COPY public.orders"));
}

/// What tokio-postgres sees of reads, pipelined reads, a transaction and an error.
async fn tokio_postgres_transcript(environment: &[(&str, String)]) -> Vec<String> {
    let of = |name: &str| environment.iter().find(|(k, _)| *k == name).unwrap().1.clone();
    let mut config = tokio_postgres::Config::new();
    config.host(of("PGHOST")).port(of("PGPORT").parse().unwrap()).user(of("PGUSER"));
    config.password(of("PGPASSWORD")).dbname(of("PGDATABASE"));
    let (mut client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut seen = Vec::new();
    let read = client.prepare("SELECT id, name FROM customers WHERE id = $1").await.unwrap();
    let (one, two) = tokio::join!(client.query(&read, &[&1i32]), client.query(&read, &[&2i32]));
    for rows in [one.unwrap(), two.unwrap()] {
        seen.push(format!("{} {}", rows[0].get::<_, i32>(0), rows[0].get::<_, &str>(1)));
    }
    let simple = client.simple_query("SELECT 1; SELECT 'x' AS y").await.unwrap();
    seen.push(format!("{} messages", simple.len()));
    let transaction = client.transaction().await.unwrap();
    transaction.execute("UPDATE orders SET note = 'rust' WHERE id = $1", &[&6i32]).await.unwrap();
    let row = transaction.query_one("SELECT note FROM orders WHERE id = 6", &[]).await.unwrap();
    seen.push(row.get(0));
    transaction.rollback().await.unwrap();
    let error = client.query("SELECT * FROM no_such_table", &[]).await.unwrap_err();
    seen.push(error.as_db_error().unwrap().to_string());
    seen.push(client.query_one("SELECT 'alive'", &[]).await.unwrap().get(0));
    drop(client);
    driver.await.unwrap().unwrap();
    seen
}

#[test]
fn tokio_postgres() {
    let _held = arena();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let direct = runtime.block_on(tokio_postgres_transcript(&arena().direct()));
    let through = arena().through("claude").unwrap();
    assert_eq!(direct, runtime.block_on(tokio_postgres_transcript(&through)));
    assert_eq!(direct.len(), 6);
}
