//! Sends the record to a receiver, in order, until the gateway stops: from the journal's files, behind what the
//! receiver has taken. Nothing of it is on the way of a request.
//!
//! What was taken is noted before anything else is sent. A crash between the two has it sent twice, and never
//! not at all.

use super::cursor::Cursor;
use super::send::{NotTaken, Sender};
use super::settings::{Export, From};
use super::source::{Bounds, Piece, Source, SourceError, What};
use super::{Chain, Writer, Written, text};
use crate::moment::{now, random};
use crate::services::{Services, stopped};
use anyhow::Context as _;
use portcullis_ledger::tail;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// How often it is looked for what is new.
const LOOK: Duration = Duration::from_millis(250);
/// Bytes of entries that are read at once.
const BYTES: usize = 4 * 1024 * 1024;
/// Longest line that is sent; of a longer one it is said that there is one.
const LONGEST: usize = 1024 * 1024;
/// How many entries are read at once, where most of them may be none of the receiver's.
const READ: usize = 5000;
/// How long is waited after a failed attempt: first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// How long is waited at most because a server asked for it.
const ASKED: Duration = Duration::from_secs(60 * 60);

/// How long an attempt may go on when the gateway stops.
const LAST: Duration = Duration::from_secs(1);

/// What is known of the receivers.
#[derive(Debug, Default)]
pub(crate) struct Exports(Vec<(String, Arc<Standing>)>);

/// How far a receiver has come, and how it does.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// The number of the next entry.
    next: AtomicU64,
    /// When the first happened that it has not taken; `i64::MAX` where there is none.
    waits_since: AtomicI64,
    /// Attempts that have failed since one has not.
    failed: AtomicU64,
    /// Entries of which it was told that there is one, and that it has said to have thrown away.
    withheld: AtomicU64,
    /// What is wrong, and whether nothing more is sent.
    trouble: Mutex<Option<(String, bool)>>,
}

/// How a receiver does.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) next: u64,
    pub(crate) waits: Duration,
    pub(crate) failed: u64,
    pub(crate) withheld: u64,
    pub(crate) trouble: Option<(String, bool)>,
}

impl Standing {
    pub(crate) fn seen(&self) -> Seen {
        let since = self.waits_since.load(Ordering::Relaxed);
        let waits = now().as_micros().saturating_sub(since);
        Seen {
            next: self.next.load(Ordering::Relaxed),
            waits: Duration::from_micros(u64::try_from(waits).unwrap_or(0)),
            failed: self.failed.load(Ordering::Relaxed),
            withheld: self.withheld.load(Ordering::Relaxed),
            trouble: self.trouble().clone(),
        }
    }

    // It is whole after every operation on it.
    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<(String, bool)>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn well(&self) {
        self.failed.store(0, Ordering::Relaxed);
        *self.trouble() = None;
    }
}

impl Exports {
    pub(crate) fn of(all: &[Export]) -> Self {
        Self(all.iter().map(|one| (one.name.clone(), Arc::default())).collect())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Standing)> {
        self.0.iter().map(|(name, standing)| (name.as_str(), &**standing))
    }

    fn of_name(&self, name: &str) -> Arc<Standing> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, standing)| standing.clone()).unwrap_or_default()
    }
}

/// What is sent of an entry, and where the receiver is once it has that.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) sequence: u64,
    pub(super) written: Written,
    piece: Arc<Piece>,
    reached: Cursor,
}

/// What was read: what is to be sent, and where the receiver is behind all of it.
struct Batch {
    sent: Vec<Sent>,
    reached: Option<Cursor>,
}

/// What sends to one receiver.
pub(crate) struct Exporter {
    services: Arc<Services>,
    settings: Export,
    data: PathBuf,
    journal: String,
    sender: Sender,
    standing: Arc<Standing>,
}

/// Where a receiver is.
struct Place {
    source: Source,
    chain: Chain,
}

/// The gateway has been stopping for a while: what is under way then is sent again.
async fn late(stopping: watch::Receiver<bool>) {
    stopped(stopping).await;
    tokio::time::sleep(LAST).await;
}

/// Nothing more is sent until somebody has looked.
struct Stopped(String);

/// The gateway stops.
struct Over;

impl Exporter {
    pub(crate) fn new(
        services: Arc<Services>,
        settings: Export,
        data: &Path,
    ) -> anyhow::Result<Self> {
        let context = || format!("export: \"{}\"", settings.name);
        let journal = tail::name(data).with_context(context)?;
        let sender = Sender::new(&settings, &journal).with_context(context)?;
        let standing = services.exports.of_name(&settings.name);
        standing.waits_since.store(i64::MAX, Ordering::Relaxed);
        Ok(Self { services, data: data.to_owned(), journal, sender, standing, settings })
    }

    /// Sends whatever there is to send, until the gateway stops.
    pub(crate) async fn keep_sending(self, mut stopping: watch::Receiver<bool>) {
        let this = Arc::new(self);
        let mut place = match this.clone().aside(|this| this.begin()).await {
            Ok(place) => place,
            Err(Stopped(why)) => return this.give_up(&why),
        };
        loop {
            let before = place.source.position().sequence;
            if this.services.ledger.safe() > before {
                let (again, batch) = match this.clone().aside(move |this| this.read(place)).await {
                    Ok(read) => read,
                    Err(Stopped(why)) => return this.give_up(&why),
                };
                place = again;
                if this.deliver(batch, &mut stopping).await.is_err() {
                    return;
                }
            }
            if place.source.position().sequence == before {
                this.idle(&place.source);
                tokio::select! {
                    // An error means the sender is gone, which is a stop as well.
                    _ = stopping.wait_for(|stop| *stop) => return,
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            if *stopping.borrow() {
                return;
            }
        }
    }

    /// Nothing is there to send, or what is there is no entry.
    fn idle(&self, source: &Source) {
        self.standing.waits_since.store(i64::MAX, Ordering::Relaxed);
        let astray = source.astray().filter(|_| {
            // What was written since may not be there yet.
            self.services.ledger.safe() > source.position().sequence
        });
        if let Some(Piece { what: What::Gap { why, at, .. }, .. }) = astray {
            self.standing.waits_since.store(at.as_micros(), Ordering::Relaxed);
            let told = self.standing.trouble().replace((why.clone(), false));
            if told.is_none_or(|(told, _)| told != why) {
                warn!(export = self.settings.name, why, "the journal cannot be read on");
            }
        }
    }

    fn give_up(&self, why: &str) {
        error!(export = self.settings.name, why, "nothing more is sent");
        *self.standing.trouble() = Some((why.to_owned(), true));
    }

    async fn aside<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Stopped> + Send + 'static,
    ) -> Result<T, Stopped> {
        let done = tokio::task::spawn_blocking(move || work(&self)).await;
        done.unwrap_or_else(|error| Err(Stopped(error.to_string())))
    }

    /// Where the receiver has been left.
    fn begin(&self) -> Result<Place, Stopped> {
        let (name, file) =
            (&self.settings.name, super::cursor::path(&self.data, &self.settings.name));
        let unread = |error: std::io::Error| {
            Stopped(format!("{}: {error}; what it was sent is not known", file.display()))
        };
        if let Some(cursor) = Cursor::read(&self.data, name).map_err(unread)? {
            if cursor.sequence() > self.services.ledger.written() {
                return Err(self.foreign(cursor.sequence()));
            }
            let (place, context) = cursor.place();
            let source = Source::resume(&self.data, place, context);
            let source = source.map_err(|error| Stopped(error.to_string()))?;
            self.standing.next.store(cursor.sequence(), Ordering::Relaxed);
            return Ok(Place { source, chain: cursor.chain });
        }
        let mut source = Source::new(&self.data);
        if self.settings.from == From::Now {
            let passed = source.pass(self.services.ledger.safe());
            passed.map_err(|error| Stopped(error.to_string()))?;
        }
        let chain = Chain::new(format!("{}/{name}", self.journal));
        Cursor::of(&source, chain.clone()).keep(&self.data, name).map_err(unread)?;
        self.standing.next.store(source.position().sequence, Ordering::Relaxed);
        Ok(Place { source, chain })
    }

    fn foreign(&self, sequence: u64) -> Stopped {
        let file = super::cursor::path(&self.data, &self.settings.name);
        Stopped(format!(
            "entry {sequence} does not follow what was sent: this is not the journal that was sent; run `portcullis \
             audit verify`, and remove {} to send all of it",
            file.display()
        ))
    }
}

impl Exporter {
    /// The next entries, and what is sent of them.
    fn read(&self, place: Place) -> Result<(Place, Batch), Stopped> {
        let Place { mut source, chain } = place;
        let (format, most) = (self.settings.written(), usize::from(self.settings.batch));
        let mut writer = Writer::new(format, self.journal.clone(), chain);
        let mut sent: Vec<Sent> = Vec::new();
        let before = self.services.ledger.safe();
        let bounds = Bounds { pieces: READ, bytes: BYTES, before };
        let read = source.read(bounds, |piece, source| {
            if self.wants(&piece) {
                let mut written = writer.write(&piece);
                if written.line.len() > LONGEST {
                    let why =
                        format!("its line of {} bytes is too long to send", written.line.len());
                    written = writer.write(&piece.withheld(&why));
                    self.standing.withheld.fetch_add(1, Ordering::Relaxed);
                }
                let reached = Cursor::of(source, writer.chain().clone());
                let (sequence, piece) = (piece.sequence, Arc::new(piece));
                sent.push(Sent { sequence, written, piece, reached });
            }
            sent.len() < most
        });
        match read {
            Ok(()) => {}
            Err(SourceError::Foreign(sequence)) => return Err(self.foreign(sequence)),
            // What was read before is sent; and what it met is met again.
            Err(SourceError::Read(error)) => {
                warn!(export = self.settings.name, %error, "the journal cannot be read on");
                *self.standing.trouble() = Some((error.to_string(), false));
                self.standing.failed.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(LOOK);
            }
        }
        let chain = writer.chain().clone();
        let reached = Some(Cursor::of(&source, chain.clone()));
        Ok((Place { source, chain }, Batch { sent, reached }))
    }

    /// Whether the receiver is told of it. Of what is no entry everybody is.
    fn wants(&self, piece: &Piece) -> bool {
        let What::Entry(item) = &piece.what else { return true };
        let Export { connections, events, .. } = &self.settings;
        if !events.is_empty() && !events.contains(item.event()) {
            return false;
        }
        let session = item.known.session.as_ref().map(|session| session.connection.as_str());
        let own = [text(&item.entry, "/connection"), text(&item.entry, "/ask/connection")];
        let own = own.into_iter().find(|one| !one.is_empty());
        let of = session.or(own);
        connections.is_empty() || of.is_none_or(|connection| connections.contains(connection))
    }

    /// Sends all of a batch, however long that takes.
    async fn deliver(
        &self,
        batch: Batch,
        stopping: &mut watch::Receiver<bool>,
    ) -> Result<(), Over> {
        let first = batch.sent.first().map_or(i64::MAX, |sent| sent.piece.at().as_micros());
        self.standing.waits_since.store(first, Ordering::Relaxed);
        // One half after the other, where there is something in it that is not taken.
        let mut parts: VecDeque<Vec<Sent>> = VecDeque::from([batch.sent]);
        let mut pause = AGAIN.0;
        while let Some(mut part) = parts.pop_front() {
            let Some(last) = part.last() else { continue };
            let sent = tokio::select! {
                sent = self.sender.send(&part) => sent,
                () = late(stopping.clone()) => return Err(Over),
            };
            let not_taken = match sent {
                Ok(lost) => {
                    self.taken(&last.reached, lost, stopping).await?;
                    pause = AGAIN.0;
                    continue;
                }
                Err(not_taken) => not_taken,
            };
            if not_taken.for_content && part.len() > 1 {
                let rest = part.split_off(part.len() / 2);
                parts.push_front(rest);
                parts.push_front(part);
                continue;
            }
            if not_taken.for_content && self.told_of(last, &not_taken).await {
                self.taken(&last.reached, 1, stopping).await?;
                continue;
            }
            self.wait(&not_taken, &mut pause, stopping).await?;
            parts.push_front(part);
        }
        // Entries that are not for it are behind it as well.
        match &batch.reached {
            Some(reached) if reached.sequence() > self.standing.next.load(Ordering::Relaxed) => {
                self.taken(reached, 0, stopping).await
            }
            _ => Ok(()),
        }
    }

    /// Tells a receiver that there is an entry which it does not take; whether it takes that.
    async fn told_of(&self, sent: &Sent, why: &NotTaken) -> bool {
        let why = format!("it was not taken: {}", why.why);
        let chain = sent.reached.chain.clone();
        let mut writer = Writer::new(self.settings.written(), self.journal.clone(), chain);
        let written = writer.write(&sent.piece.withheld(&why));
        let told = self.sender.send(&[Sent { written, ..sent.clone() }]).await.is_ok();
        if told {
            let (export, entry) = (&self.settings.name, sent.sequence);
            warn!(export, entry, why, "of an entry it was told that there is one, and no more");
        }
        told
    }

    /// Notes how far the receiver has come. Nothing else is sent before that is done.
    async fn taken(
        &self,
        reached: &Cursor,
        lost: u64,
        stopping: &mut watch::Receiver<bool>,
    ) -> Result<(), Over> {
        if lost > 0 {
            self.standing.withheld.fetch_add(lost, Ordering::Relaxed);
            warn!(export = self.settings.name, lost, "the receiver has not kept all it was sent");
        }
        let mut pause = AGAIN.0;
        loop {
            let (reached, data, name) =
                (reached.clone(), self.data.clone(), self.settings.name.clone());
            let kept = tokio::task::spawn_blocking(move || reached.keep(&data, &name)).await;
            let why = match kept {
                Ok(Ok(())) => break,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            let why = format!("what was sent cannot be noted: {why}");
            let not_taken = NotTaken { why, ..NotTaken::default() };
            self.wait(&not_taken, &mut pause, stopping).await?;
        }
        self.standing.next.store(reached.sequence(), Ordering::Relaxed);
        if self.standing.failed.load(Ordering::Relaxed) > 0 {
            info!(export = self.settings.name, "it is sent again");
        }
        self.standing.well();
        Ok(())
    }

    /// Waits after an attempt that has failed.
    async fn wait(
        &self,
        not_taken: &NotTaken,
        pause: &mut Duration,
        stopping: &mut watch::Receiver<bool>,
    ) -> Result<(), Over> {
        let NotTaken { why, after, .. } = not_taken;
        let failed = self.standing.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if failed.is_power_of_two() {
            warn!(export = self.settings.name, failed, why, "it is kept, and sent again");
        }
        *self.standing.trouble() = Some((why.clone(), false));
        // Somewhere between a half and all of it: gateways do not come back together.
        let share = f64::from(u16::from_ne_bytes(random())) / f64::from(u16::MAX);
        let wait = pause.mul_f64(0.5 + share / 2.0);
        let wait = after.map_or(wait, |after| after.min(ASKED).max(wait));
        *pause = (*pause * 2).min(AGAIN.1);
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = stopped(stopping.clone()) => Err(Over),
        }
    }
}
