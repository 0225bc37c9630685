//! kill -9 in the middle of a write load: every acknowledged entry is there, and the record
//! verifies.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside the tests themselves")]

mod common;

use common::*;
use portcullis_core::journal::{Durability, Journal as _};
use portcullis_ledger::{Ledger, LedgerSettings, read};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::tempdir;

const DIR: &str = "LEDGER_KILL_TEST_DIR";
const ROUND: &str = "LEDGER_KILL_TEST_ROUND";

fn small() -> LedgerSettings {
    let head_every = Duration::from_millis(20);
    LedgerSettings { segment_bytes: 30_000, head_every, ..settings() }
}

/// The child: appends from eight tasks and prints each acknowledged entry. Does nothing unless it
/// was started by the test below.
#[test]
fn child_appends_until_it_is_killed() {
    let (Ok(dir), Ok(round)) = (std::env::var(DIR), std::env::var(ROUND)) else { return };
    let round: u64 = round.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open(Path::new(&dir), small()).unwrap();
        let tasks: Vec<_> = (0..8)
            .map(|task| tokio::spawn(append_for_ever(ledger.clone(), round * 8 + task)))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn append_for_ever(ledger: Ledger, s: u64) {
    durable(&ledger, opened(0, s)).await;
    for r in s * 1_000_000.. {
        let durability = if r % 3 == 0 { Durability::Durable } else { Durability::Written };
        let receipt = ledger.append(intent(1, s, r, "SELECT 1"), durability).await.unwrap();
        let line = format!("{} {r}\n", receipt.sequence());
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        if r % 2 == 0 {
            ledger.note(outcome(2, s, r, 1)).unwrap();
        }
    }
}

#[test]
fn after_kill_9_every_acknowledged_entry_is_there_and_the_record_verifies() {
    let dir = tempdir().unwrap();
    let mut acknowledged: HashMap<u64, u64> = HashMap::new();
    for round in 0..4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_appends_until_it_is_killed", "--nocapture"])
            .env(DIR, dir.path())
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = 0;
        while let Some(Ok(line)) = lines.next() {
            let Some((sequence, r)) = line.split_once(' ') else { continue };
            let (Ok(sequence), Ok(r)) = (sequence.parse(), r.parse()) else { continue };
            acknowledged.insert(sequence, r);
            heard += 1;
            if heard == 200 + 150 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(heard >= 200, "round {round}: only {heard} entries before the end");

        let ledger = Ledger::open(dir.path(), small()).unwrap();
        assert_eq!(ledger.recovery().closed_sessions, 8);
        assert!(ledger.recovery().abandoned > 0);
        drop(ledger);
        let report = check(dir.path()).unwrap();
        assert_eq!((report.unclosed_intents.len(), report.open_sessions), (0, 0));
        let mut found = HashMap::new();
        for entry in read::entries(dir.path()).unwrap() {
            let (sequence, entry) = entry.unwrap();
            found.insert(sequence, entry.request);
        }
        for (sequence, r) in &acknowledged {
            assert_eq!(found.get(sequence), Some(&Some(request(*r))), "entry {sequence}");
        }
    }
}
