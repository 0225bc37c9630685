//! For how long what is recorded is kept: the rules of `[[retention]]`, what legal holds keep against them, and the
//! task that removes what is due. Beside the life of a request: long after it.
//!
//! *Architecture invariant:* nothing is removed while it is not known what is held, nor before every receiver of
//! `[[export]]` has it. What is removed is said in the journal first.

mod settings;

pub(crate) use settings::{HoldDocument, Retention, rules};

use crate::config::Config;
use crate::documents::with_what_is_kept;
use crate::export::read_by_all;
use crate::moment::now;
use crate::services::{Services, stopped};
use anyhow::Context as _;
use portcullis_ledger::retention::{Due, Hold, Rules, due};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

/// How often it is looked for what is due, at most and at least.
const EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60 * 60));
/// How long it takes until a signed head covers what was written.
const SIGNED: Duration = Duration::from_secs(2);

/// What is known of removing.
#[derive(Debug, Default)]
pub(crate) struct Removing(Mutex<Seen>);

/// How it stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Whether anything is ever removed.
    pub(crate) is_on: bool,
    /// Entries whose contents were removed since the start.
    pub(crate) entries: u64,
    /// Recordings that were.
    pub(crate) recordings: u64,
    /// Entries that are due, and that a receiver of the record has not read yet.
    pub(crate) waiting: u64,
    /// What of each hold would be due without it: sessions, and entries of none.
    pub(crate) held: BTreeMap<String, u64>,
    /// Why the last attempt came to an end before its time.
    pub(crate) trouble: Option<String>,
}

impl Removing {
    pub(crate) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    // It is whole after every operation on it.
    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What removing goes by.
struct Going {
    rules: Rules,
    receivers: Vec<crate::export::Export>,
    data: PathBuf,
}

/// Removes what is due, now and then, until the gateway stops.
pub(crate) async fn keep_removing(
    services: Arc<Services>,
    config: Config,
    stopping: watch::Receiver<bool>,
) {
    let rules = rules(&config.retention);
    if rules.keep_all() {
        return;
    }
    let every = settings::shortest(&config.retention).unwrap_or(EVERY.1) / 4;
    let every = every.clamp(EVERY.0, EVERY.1);
    let going = Going { rules, receivers: config.export.clone(), data: config.data_dir.clone() };
    services.removing.lock().is_on = true;
    let mut stop = std::pin::pin!(stopped(stopping));
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(every) => {}
        }
        tokio::select! {
            () = &mut stop => return,
            done = pass(&services, &going) => {
                let trouble = done.err().map(|error| format!("{error:#}"));
                if let Some(error) = &trouble {
                    warn!(error, "what the rules of retention have removed is still there");
                }
                services.removing.lock().trouble = trouble;
            }
        }
    }
}

/// Removes what is due now.
async fn pass(services: &Arc<Services>, going: &Going) -> anyhow::Result<()> {
    let kept = with_what_is_kept(services).await.context("the holds are not known")?;
    let holds: Vec<Hold> = kept.holds.into_values().collect();
    let mut found = look(going, &holds).await?;
    if found.open > 0 {
        // What is in the segment that is written to can go once another is.
        let ledger = services.ledger.clone();
        tokio::task::spawn_blocking(move || ledger.roll()).await??;
        tokio::time::sleep(SIGNED).await;
        found = look(going, &holds).await?;
    }
    {
        let mut seen = services.removing.lock();
        (seen.waiting, seen.held) = (found.waiting, found.held.clone());
    }
    let recordings = found.recordings.len();
    for recording in found.recordings {
        services.ledger.remove_recording(recording).await?;
        services.removing.lock().recordings += 1;
    }
    let mut entries = 0;
    for contents in found.entries {
        let count: u64 = contents.why.values().sum();
        services.ledger.remove_contents(contents).await?;
        entries += count;
        services.removing.lock().entries += count;
    }
    if recordings > 0 || entries > 0 {
        info!(entries, recordings, "removed what the rules of retention do not keep");
    }
    if entries > 0 {
        services.archive.make_anew().await.context("the index of recorded sessions")?;
    }
    Ok(())
}

async fn look(going: &Going, holds: &[Hold]) -> anyhow::Result<Due> {
    let before = read_by_all(&going.receivers, &going.data)?;
    let (data, rules, holds) = (going.data.clone(), going.rules.clone(), holds.to_vec());
    let looked = tokio::task::spawn_blocking(move || due(&data, &rules, &holds, before, now()));
    Ok(looked.await??)
}

/// What would be removed now, by a configuration with its documents.
pub(crate) fn plan(config: &Config) -> anyhow::Result<Due> {
    let before = read_by_all(&config.export, &config.data_dir)?;
    let holds: Vec<Hold> = config.holds.values().cloned().collect();
    Ok(due(&config.data_dir, &rules(&config.retention), &holds, before, now())?)
}
