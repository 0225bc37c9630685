//! Appends per second and their latencies, for both durabilities, with 1, 8, 64 and 512 tasks, as
//! ratios to a file that is written and synced line by line on the same disk in the same run; and the CPU
//! time each append costs: the share of the journal in the budgets of a request.
//!
//! `./dev bench journal [seconds] [directory]`

use portcullis_core::digest::Digester;
use portcullis_core::id::{RequestId, SessionId};
use portcullis_core::journal::{Durability, Entry, Event, Journal as _};
use portcullis_core::protocol::Shown;
use portcullis_core::time::Timestamp;
use portcullis_ledger::{Ledger, LedgerSettings};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn intent(n: u64) -> Entry {
    let statement = "SELECT id, name, email FROM customers WHERE id = $1".to_owned();
    Entry {
        at: Timestamp::from_micros(1_760_000_000_000_000),
        session: Some(SessionId::from_bits(7)),
        request: Some(RequestId::from_bits(n)),
        event: Event::Intent {
            operation: "SELECT · read shop.public.customers".to_owned(),
            shown: Shown {
                statements: vec![statement],
                parameters: vec![vec![Some(n.to_string())]],
                ..Shown::default()
            },
            digest: Digester::new("example").part(&n.to_be_bytes()).finish(),
            rules: vec!["agents-read".to_owned()],
            review: None,
            pattern: None,
            of_gateway: false,
            durability: Durability::Written,
        },
    }
}

/// User and system CPU time of this process so far, in clock ticks of 10 ms (proc(5), stat).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = fields.split(' ').skip(11).take(2).filter_map(|t| t.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// Lines per second of a file that is synced behind each: what a journal without group commit could do.
fn line_by_line(dir: &Path, time: Duration) -> std::io::Result<f64> {
    use std::io::Write as _;
    let path = dir.join("line-by-line");
    let mut file = std::fs::File::create(&path)?;
    let (begin, mut lines) = (Instant::now(), 0.0);
    while begin.elapsed() < time {
        file.write_all(&[b'x'; 700])?;
        file.sync_data()?;
        lines += 1.0;
    }
    std::fs::remove_file(path)?;
    Ok(lines / begin.elapsed().as_secs_f64())
}

async fn measure(ledger: &Ledger, durability: Durability, tasks: u64, time: Duration, base: f64) {
    let (begin, before) = (Instant::now(), cpu());
    let work = (0..tasks).map(|task| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while begin.elapsed() < time {
                let n = task << 32 | latencies.len() as u64;
                let start = Instant::now();
                if ledger.append(intent(n), durability).await.is_err() {
                    break;
                }
                latencies.push(start.elapsed());
            }
            latencies
        })
    });
    let mut latencies = Vec::new();
    for task in work.collect::<Vec<_>>() {
        latencies.extend(task.await.unwrap_or_default());
    }
    latencies.sort();
    let count = latencies.len().max(1);
    let at = |part: usize| latencies.get(count * part / 100).map_or(0, Duration::as_micros);
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    println!(
        "{durability:<8?} {tasks:>3} tasks  {rate:>9.0}/s  {:>7.1} x line by line  p50 {:>6} µs  p95 {:>6} µs  p99 {:>6} µs  \
         {:>5.1} CPU µs each",
        rate / base,
        at(50),
        at(95),
        at(99),
        (cpu() - before) * 1e6 / count as f64,
    );
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(Ok(2), |s| s.parse())?;
    let kept = tempfile::tempdir()?;
    let dir = arguments.next().map_or_else(|| kept.path().to_owned(), PathBuf::from);
    let ledger = Ledger::open(Path::new(&dir), LedgerSettings::default())?;
    let time = Duration::from_secs(seconds);
    let base = line_by_line(&dir, time)?;
    println!("line by line: {base:.0}/s");
    for durability in [Durability::Written, Durability::Durable] {
        for tasks in [1, 8, 64, 512] {
            measure(&ledger, durability, tasks, time, base).await;
        }
    }
    ledger.close()?;
    let begin = Instant::now();
    let reopened = Ledger::open(Path::new(&dir), LedgerSettings::default())?;
    let recovery = reopened.recovery();
    println!(
        "read {} entries on opening and closed {} abandoned intents in {:.2} s",
        recovery.entries,
        recovery.abandoned,
        begin.elapsed().as_secs_f64()
    );
    drop(reopened);
    let begin = Instant::now();
    let report = portcullis_ledger::verify::verify(&dir, &Default::default())?;
    println!("verified {} entries in {:.2} s", report.entries, begin.elapsed().as_secs_f64());
    Ok(())
}
