//! Drivers of five languages see the same through the gateway, with everything allowed, as from
//! the server itself.

use portcullis_testkit::arena::{APP_PASSWORD, Arena, Setup, Shared};
use portcullis_testkit::raw::{Message, RawClient, message};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

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
    let arena = arena();
    let programs = arena.server.program_directory();
    let init = Command::new(programs.join("pgbench"))
        .args(["-i", "-q", "-s", "1"])
        .envs(arena.direct().iter().map(|(k, v)| (k, v)))
        .output()
        .unwrap();
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    let through = arena.through("claude").unwrap();
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
    let history = arena.truth("SELECT count(*) FROM pgbench_history").unwrap();
    assert_eq!(history, "600");
}

#[test]
fn pg_dump_writes_the_same() {
    let held = arena();
    let version = Command::new(held.server.program_directory().join("pg_dump"))
        .arg("--version")
        .output()
        .unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let major = version.split(' ').nth(2).and_then(|v| v.split('.').next()).unwrap();
    if major.parse::<u32>().unwrap() < held.server.version() {
        eprintln!("not run: {} does not dump newer servers", version.trim());
        return;
    }
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

/// Rows and tags of simple queries, or the error.
fn simple(answer: Result<Vec<SimpleQueryMessage>, tokio_postgres::Error>) -> String {
    let messages = match answer {
        Ok(messages) => messages,
        Err(error) => return failed(&error),
    };
    let shown = messages.iter().map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            (0..row.len()).map(|n| row.get(n).unwrap_or("NULL").to_owned() + "|").collect()
        }
        SimpleQueryMessage::CommandComplete(rows) => format!("{rows} rows"),
        _ => String::new(),
    });
    shown.collect::<Vec<String>>().join(" ")
}

fn failed(error: &tokio_postgres::Error) -> String {
    format!("{error:?}").split(" file:").next().unwrap_or_default().to_owned()
}

async fn prepared(client: &Client) -> Result<Vec<String>, tokio_postgres::Error> {
    let statement =
        client.prepare("SELECT id, status, note, total::float8 FROM orders WHERE id = $1").await?;
    let mut seen = vec![format!("{:?} {:?}", statement.params(), statement.columns())];
    let numbers = vec![1i64, 2, 3];
    let mixed: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&"text", &numbers];
    // Several at once travel as one pipeline.
    let (a, b, c, d) = tokio::join!(
        client.query_one(&statement, &[&1i32]),
        client.query_one(&statement, &[&2i32]),
        client.query_opt(&statement, &[&-1i32]),
        client.query("SELECT $1::text, $2::int8[]", &mixed),
    );
    for row in [a?, b?].iter().chain(c?.iter()) {
        let (id, status): (i32, String) = (row.get(0), row.get(1));
        let (note, total): (Option<String>, f64) = (row.get(2), row.get(3));
        seen.push(format!("{id} {status} {note:?} {total}"));
    }
    for row in d? {
        seen.push(format!("{} {:?}", row.get::<_, String>(0), row.get::<_, Vec<i64>>(1)));
    }
    Ok(seen)
}

async fn transactions(client: &mut Client) -> Result<Vec<String>, tokio_postgres::Error> {
    let mut seen = Vec::new();
    let mut outer = client.transaction().await?;
    outer.execute("UPDATE orders SET note = 'outer' WHERE id = 60", &[]).await?;
    let inner = outer.transaction().await?;
    inner.execute("UPDATE orders SET note = 'inner' WHERE id = 60", &[]).await?;
    seen.push(failed(&inner.query("SELECT 1/0", &[]).await.unwrap_err()));
    inner.rollback().await?;
    let note = outer.query_one("SELECT note FROM orders WHERE id = 60", &[]).await?;
    seen.push(note.get(0));
    let portal = outer.bind("SELECT id FROM orders ORDER BY id LIMIT 7", &[]).await?;
    for rows in [3, 3, 3] {
        let rows = outer.query_portal(&portal, rows).await?;
        seen.push(format!("{:?}", rows.iter().map(|r| r.get::<_, i32>(0)).collect::<Vec<_>>()));
    }
    outer.rollback().await?;
    Ok(seen)
}

async fn copied_in(client: &Client) -> Result<Vec<String>, tokio_postgres::Error> {
    client.batch_execute("CREATE TEMP TABLE copied (id int8, v text)").await?;
    let sink = client.copy_in("COPY copied FROM STDIN (FORMAT binary)").await?;
    let types = [tokio_postgres::types::Type::INT8, tokio_postgres::types::Type::TEXT];
    let writer = tokio_postgres::binary_copy::BinaryCopyInWriter::new(sink, &types);
    let mut writer = std::pin::pin!(writer);
    for n in 0..5000i64 {
        writer.as_mut().write(&[&n, &format!("row {n}")]).await?;
    }
    let rows = writer.finish().await?;
    let sum = client.query_one("SELECT sum(id)::int8, max(v) FROM copied", &[]).await?;
    Ok(vec![format!("{rows} {} {}", sum.get::<_, i64>(0), sum.get::<_, String>(1))])
}

async fn cancelled(client: &Client) -> Vec<String> {
    let token = client.cancel_token();
    let (answer, ()) = tokio::join!(client.query("SELECT pg_sleep(20)", &[]), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        token.cancel_query(NoTls).await.unwrap();
    });
    vec![failed(&answer.unwrap_err()), simple(client.simple_query("SELECT 'alive'").await)]
}

async fn tokio_postgres_sees(port: u16, user: &str, password: &str) -> Vec<String> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user(user).password(password).dbname("shop");
    let (mut client, connection) = config.connect(NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut seen = Vec::new();
    for sql in [
        "SELECT 1, NULL; SELECT 'two'; CREATE TEMP TABLE t (x int); INSERT INTO t VALUES (1), (2)",
        "",
        "SELECT x FROM t; SELECT 1/0; SELECT 3",
        "SELECT * FROM no_such_table",
    ] {
        seen.push(simple(client.simple_query(sql).await));
    }
    seen.extend(prepared(&client).await.unwrap());
    seen.extend(transactions(&mut client).await.unwrap());
    seen.extend(copied_in(&client).await.unwrap());
    seen.extend(cancelled(&client).await);
    drop(client);
    connection.await.unwrap().unwrap();
    seen
}

#[test]
fn tokio_postgres() {
    let _held = arena();
    let token = arena().token("claude").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (direct, through) = runtime.block_on(async {
        let direct = tokio_postgres_sees(arena().server.port(), "owner", APP_PASSWORD).await;
        (direct, tokio_postgres_sees(arena().postgres.port(), "claude", &token).await)
    });
    for (direct, through) in direct.iter().zip(&through) {
        assert_eq!(direct, through);
    }
    assert_eq!(direct.len(), through.len());
    assert!(direct.len() > 12 && direct.iter().any(|line| line.contains("57014")), "{direct:?}");
}

#[test]
fn psql_copies_files() {
    let _held = arena();
    let directory = tempfile::tempdir().unwrap();
    let copy = |environment: &[(&str, String)], name: &str| {
        let file = directory.path().join(name).display().to_string();
        let script = format!(
            "\\copy (SELECT id, status, total FROM orders WHERE id < 200 ORDER BY id) TO '{file}' (FORMAT binary)\n\
             CREATE TEMP TABLE back (id int, status text, total numeric);\n\
             \\copy back FROM '{file}' (FORMAT binary)\n\
             SELECT count(*), sum(total), max(status) FROM back;\n\
             \\copy back TO '{file}.csv' CSV HEADER\n\
             TRUNCATE back;\n\
             \\copy back FROM '{file}.csv' CSV HEADER\n\
             SELECT count(*), sum(total) FROM back;\n\
             \\copy back FROM '{file}' CSV\n\
             SELECT 'alive';\n"
        );
        let said = psql(environment, &[], &script).replace(&file, "FILE");
        (said, std::fs::read(&file).unwrap(), std::fs::read(file + ".csv").unwrap())
    };
    let direct = copy(&arena().direct(), "direct");
    let through = copy(&arena().through("claude").unwrap(), "through");
    assert_eq!(direct.0, through.0);
    assert!(direct.1 == through.1 && direct.2 == through.2, "the files differ");
    assert!(direct.0.contains("COPY 199") && direct.0.contains("alive"), "{}", direct.0);
}

/// A CancelRequest ends what its own session does, and nothing else; a wrong key ends nothing.
#[test]
fn a_cancel_request_reaches_its_own_session_alone() {
    let _held = arena();
    let token = arena().token("claude").unwrap();
    let sleeping = |seconds: u32| {
        let mut client = RawClient::log_in(arena().postgres, "claude", "shop", &token).unwrap();
        let sql = format!("SELECT 'slept' FROM pg_sleep({seconds})\0");
        client.send(&message(b'Q', sql.as_bytes())).unwrap();
        client
    };
    let (mut one, mut other) = (sleeping(8), sleeping(2));
    let (one_key, other_key) = (one.cancel_key.clone().unwrap(), other.cancel_key.clone().unwrap());
    assert_ne!(one_key, other_key);
    let cancel = |process: u32, key: &[u8]| {
        let mut client = RawClient::connect(arena().postgres).unwrap();
        let body = [&80_877_102u32.to_be_bytes()[..], &process.to_be_bytes(), key].concat();
        let length = u32::try_from(body.len() + 4).unwrap();
        client.send(&[&length.to_be_bytes()[..], &body].concat()).unwrap();
        assert_eq!(client.receive().unwrap(), None, "a CancelRequest has no answer");
    };
    std::thread::sleep(Duration::from_millis(300));
    cancel(one_key.0, &other_key.1);
    cancel(other_key.0, &one_key.1);
    cancel(one_key.0, &[]);
    cancel(0, &one_key.1);
    cancel(one_key.0, &one_key.1[..3]);
    let shown = |client: &mut RawClient| {
        client.until(b'Z').unwrap().iter().map(Message::shown).collect::<Vec<_>>().join("\n")
    };
    let slept = shown(&mut other);
    assert!(slept.contains("slept"), "{slept}");
    let started = Instant::now();
    cancel(one_key.0, &one_key.1);
    let ended = shown(&mut one);
    assert!(ended.contains("57014") && started.elapsed() < Duration::from_secs(3), "{ended}");
    // Late, it ends nothing that follows.
    let mut third = sleeping(1);
    cancel(one_key.0, &one_key.1);
    assert!(shown(&mut third).contains("slept"));
    assert!(shown_query(&mut one).contains("alive"));
}

fn shown_query(client: &mut RawClient) -> String {
    client.query("SELECT 'alive'").unwrap().iter().map(Message::shown).collect()
}

/// Protocol 3.2 (PostgreSQL 18) has longer cancel keys, whatever the server speaks.
#[test]
fn newer_protocols_are_spoken_or_negotiated() {
    let arena = arena();
    let token = arena.token("claude").unwrap();
    let parameters = [("user", "claude"), ("database", "shop")];
    for (asked, spoken, length) in [(0, 0, 4), (2, 2, 32), (9, 2, 32)] {
        let through = RawClient::log_in_speaking(asked, arena.postgres, &parameters, &token);
        let (mut client, minor) = through.unwrap();
        assert_eq!(minor, spoken, "3.{asked}");
        let (process, key) = client.cancel_key.clone().unwrap();
        assert_eq!(key.len(), length, "3.{asked}");
        let cancel = |key: &[u8]| {
            let size = (12 + key.len() as u32).to_be_bytes();
            let code = 80_877_102u32.to_be_bytes();
            let request = [&size[..], &code, &process.to_be_bytes(), key].concat();
            RawClient::connect(arena.postgres).unwrap().send(&request).unwrap();
        };
        client.send(&message(b'Q', b"SELECT 'slept', pg_sleep(1)\0")).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        // A part of the key is no key.
        cancel(&key[..key.len() - 1]);
        let seen = client.until(b'Z').unwrap();
        assert!(seen.iter().any(|m| m.shown().contains("slept")), "3.{asked}: {seen:?}");
        let began = Instant::now();
        client.send(&message(b'Q', b"SELECT pg_sleep(60)\0")).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        cancel(&key);
        let seen = client.until(b'Z').unwrap();
        assert!(seen.iter().any(|m| m.shown().contains("C=57014")), "3.{asked}: {seen:?}");
        assert!(began.elapsed() < Duration::from_secs(9));
    }
}
