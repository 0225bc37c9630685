//! A model of the whole: sessions made of random requests run through the gateway in front of a real
//! server, and what was heard behind it is held against what the model says may be heard.
//!
//! Nothing of the gateway's code is used for that. Between gateway and server stands a tap
//! ([`tap`]) that writes down every message and, at that moment, how much of the journal was there.
//! The model ([`plan`], [`model`]) knows of every request it makes what the default pack must do
//! with it and what PostgreSQL makes of the transaction. Checked is, for every session:
//!
//! * what the target heard of the caller are the permitted requests, whole, unchanged and in their
//!   order; nothing of one that was refused, taken back, not decided yet or not sent to its end;
//! * whatever was heard had its intent in the journal's files before;
//! * the transaction status is PostgreSQL's own;
//! * no value of a masked column is in what the client received, nor in any file of the gateway.
//!
//! `PORTCULLIS_MODEL_SEEDS=n` runs n sessions (120 otherwise), `PORTCULLIS_MODEL_SEED=s` begins with
//! the seed s. A failure names the seed and the shortest beginning of its session that fails.

mod check;
mod client;
mod journal;
mod model;
mod plan;
mod tap;

use client::{Ran, Scene};
use portcullis_testkit::arena::{Arena, Setup, contents_below};
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tap::Tap;

/// Sessions, unless asked otherwise.
const SESSIONS: u64 = 120;
/// Sessions at a time.
const WORKERS: usize = 4;
/// In every value of a masked column, and nowhere else.
pub(crate) const SENTINEL: &str = "qzxwvk";

/// Values of masked columns that are told among all others. Strategies keep the first letter or the
/// last digits, so the sentinel stands in the middle.
const SECRETS: &str = "
    UPDATE customers SET email = 'u' || id || 'qzxwvk' || id || '@shop.example',
        card_number = 'c qzxwvk ' || lpad(id::text, 8, '0');
    UPDATE payments SET iban = 'DE qzxwvk ' || id || ' 00';
    CREATE TABLE notes (id bigint, body text);
    CREATE TABLE people (id bigint, born date, pass bytea, salary numeric, tag varchar(40));
    INSERT INTO people SELECT i, date '1980-01-01' + i, convert_to('qzxwvk' || i, 'UTF8'), i, 'p-qzxwvk-' || i
        FROM generate_series(1, 50) AS i;";

fn setup(tap: &Tap) -> Setup {
    let mut setup = Setup::agent_safe();
    setup.connection = r#"sensitive = [
  { column = "public.customers.email", label = "email", mask = "partial" },
  { column = "public.customers.card_number", label = "card", mask = "redact" },
  { column = "public.payments.iban", label = "iban", mask = "hash" },
  { column = "public.people.pass", mask = "redact" },
  { column = "public.people.tag", mask = "null" },
]
"#
    .to_owned();
    setup.policy += "[limits]\nsessions_per_principal = 100\n";
    Setup { between: Some(tap.port()), in_memory: true, ..setup }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|n| n.parse().unwrap())
}

#[test]
fn the_whole_against_the_model() {
    let tap = Tap::start();
    let mut arena = Arena::start(&setup(&tap)).unwrap();
    tap.connect_to(arena.server.port(), arena.data().join("journal"));
    arena.server.sql("shop", SECRETS).unwrap();
    let scene = Scene::new(&arena, &tap);
    let begin = number("PORTCULLIS_MODEL_SEED").unwrap_or(1);
    let end = begin + number("PORTCULLIS_MODEL_SEEDS").unwrap_or(SESSIONS);
    let (next, ran) = (AtomicU64::new(begin), Mutex::new(Vec::<Ran>::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let one = client::run(&scene, &plan::plan(seed));
                    let failed = one.complaint.is_some();
                    ran.lock().unwrap().push(one);
                    if failed {
                        // What comes after would only take longer.
                        next.store(end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let ran = ran.into_inner().unwrap();
    check::settled(&ran, &tap);
    let complaint = ran.iter().find_map(|one| Some((one.seed, check::complaint(one, &tap)?)));
    if let Some((seed, complaint)) = complaint {
        let (steps, complaint) = shortest(&scene, &tap, seed).unwrap_or((usize::MAX, complaint));
        let plan = plan::plan(seed).cut(steps);
        panic!("seed {seed}, steps {}:\n{plan}\n{complaint}", plan.steps.len());
    }
    let count = check::counted(&ran, &tap);
    println!("{count}");
    count.demand();
    drop(scene);
    arena.stop_gateway();
    let found = sentinels(&arena);
    assert!(found.is_empty(), "values of masked columns are in {found:?}");
}

/// The shortest beginning of a session that fails, in steps, and what is wrong with it.
fn shortest(scene: &Scene<'_>, tap: &Tap, seed: u64) -> Option<(usize, String)> {
    let whole = plan::plan(seed);
    (1..=whole.steps.len()).find_map(|steps| {
        let ran = client::run(scene, &whole.clone().cut(steps));
        check::settled(std::slice::from_ref(&ran), tap);
        Some((steps, check::complaint(&ran, tap)?))
    })
}

/// The files of the gateway that hold a sentinel.
fn sentinels(arena: &Arena) -> Vec<String> {
    let mut files = contents_below(&arena.data());
    assert!(files.len() > 20, "the journal, recordings and the store: {}", files.len());
    files.push((arena.log_file(), fs::read(arena.log_file()).unwrap()));
    files.retain(|(_, bytes)| check::shows_sentinel(bytes));
    files.iter().map(|(file, _)| file.display().to_string()).collect()
}
