//! Writing entries: takes everything that waits, chains it, writes it in one go, and wakes who only
//! needed it written. On the life of a request: where the receipt of a pure read is given.
//!
//! There is one pen. Whoever has the turn (see [`crate::queue`]) writes with it: most often the task
//! whose entry it is, so that no thread has to be woken for a read; else the keeper's thread, which
//! writes what nobody waits for, and the recordings.

use crate::chain::{Chain, Hash};
use crate::mac::Macs;
use crate::queue::{Batch, Events, Reply, Waiting};
use crate::storage::Storage;
use crate::sync::{Shared, Watch};
use crate::tapes::Tapes;
use portcullis_core::journal::{Durability, JournalError};
use std::sync::{Arc, Mutex, PoisonError};

/// A batch is written in pieces of about this size, so that a segment is not overrun by much.
const CHUNK: usize = 4 * 1024 * 1024;
/// How many batches a request writes before it leaves what others added to the keeper.
const PATIENCE: usize = 4;

/// The pen and what its holders share.
pub(crate) struct Desk {
    pub(crate) shared: Arc<Shared>,
    pen: Mutex<Writer>,
}

impl Desk {
    pub(crate) const fn new(shared: Arc<Shared>, pen: Writer) -> Self {
        Self { shared, pen: Mutex::new(pen) }
    }

    /// Uses a turn: writes batch after batch until none is left, or `patience` ran out.
    fn write(&self, patience: Option<usize>) {
        let _watch = Watch(Arc::clone(&self.shared));
        let queue = &self.shared.queue;
        let mut pen = self.pen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = std::mem::take(&mut pen.batch);
        let mut batches = 0;
        while queue.take(&mut batch) {
            if let Err(why) = pen.commit(&mut batch) {
                self.shared.break_down(&why);
                batch.fail(&why);
                pen.fail(&why);
            }
            batches += 1;
            if patience.is_some_and(|most| batches >= most) {
                pen.batch = batch;
                drop(pen);
                return queue.hand_over();
            }
        }
        pen.batch = batch;
    }

    /// Begins another segment, where there is anything in this one.
    pub(crate) fn roll(&self) -> Result<(), String> {
        let _watch = Watch(Arc::clone(&self.shared));
        let mut pen = self.pen.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.queue.alive().map_err(|e| e.to_string())?;
        pen.roll().inspect_err(|why| self.shared.break_down(why))
    }

    /// The keeper's thread: runs until the ledger is closed or broken.
    pub(crate) fn keep(&self, mut tapes: Tapes) {
        let _watch = Watch(Arc::clone(&self.shared));
        let mut events = Events::default();
        while let Some(work) = self.shared.queue.wait(&mut events) {
            if work.turn {
                self.write(None);
            }
            tapes.run(&mut events);
        }
        events.fail("the journal is broken");
    }
}

/// A task's turn to write. Dropped unused, with its task, it goes to the keeper.
#[must_use = "a turn is to be used"]
pub(crate) struct Turn(Option<Arc<Desk>>);

impl Turn {
    pub(crate) const fn new(desk: Arc<Desk>) -> Self {
        Self(Some(desk))
    }

    /// Writes what waits.
    pub(crate) fn write(mut self) {
        if let Some(desk) = self.0.take() {
            desk.write(Some(PATIENCE));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(desk) = self.0.take() {
            desk.shared.queue.hand_over();
        }
    }
}

/// The pen: the end of the journal, and what is about to be added to it.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    storage: Arc<dyn Storage>,
    macs: Arc<Macs>,
    /// The end of the chain, with everything in `out`.
    chain: Chain,
    /// The number of the first entry in `out`.
    first: u64,
    /// Bytes in the current segment, and from how many on another is begun.
    segment: (u64, u64),
    out: Vec<u8>,
    /// The hashes of the entries in `out`.
    leaves: Vec<Hash>,
    written: Vec<(Reply, u64)>,
    durable: Vec<(Reply, u64)>,
    /// Empty: kept for its memory.
    batch: Batch,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        storage: Arc<dyn Storage>,
        macs: Arc<Macs>,
        chain: Chain,
        segment: (u64, u64),
    ) -> Self {
        let (out, leaves, written, durable) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (first, batch) = (chain.size, Batch::default());
        Self { shared, storage, macs, chain, first, segment, out, leaves, written, durable, batch }
    }

    fn fail(&mut self, why: &str) {
        for (reply, _) in self.written.drain(..).chain(self.durable.drain(..)) {
            let _ = reply.send(Err(JournalError::Broken(why.to_owned())));
        }
    }

    /// Writes everything in the batch.
    pub(crate) fn commit(&mut self, batch: &mut Batch) -> Result<(), String> {
        let Batch { arena, entries } = batch;
        for Waiting { bytes, reply } in entries.drain(..) {
            let entry = arena.get(bytes).unwrap_or_default();
            let sequence = self.chain.seal(&self.macs, entry, &mut self.out);
            self.leaves.push(self.chain.last);
            match reply {
                Some((Durability::Written, reply)) => self.written.push((reply, sequence)),
                Some((Durability::Durable, reply)) => self.durable.push((reply, sequence)),
                None => {}
            }
            if self.out.len() >= CHUNK {
                self.flush()?;
            }
        }
        self.flush()
    }

    /// Where the chain ends.
    pub(crate) const fn chain(&self) -> Chain {
        self.chain
    }

    fn roll(&mut self) -> Result<(), String> {
        if self.segment.0 == 0 {
            return Ok(());
        }
        let (storage, first) = (&self.storage, self.first);
        let rolled = self.shared.synced(|| storage.roll(first));
        rolled.map_err(|e| format!("beginning a segment failed: {e}"))?;
        self.segment.0 = 0;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        if self.out.is_empty() {
            return Ok(());
        }
        let (bytes, limit) = self.segment;
        if bytes >= limit {
            self.roll()?;
        }
        let written = self.storage.write(&self.out);
        written.map_err(|e| format!("writing the journal failed: {e}"))?;
        self.segment.0 += self.out.len() as u64;
        self.first = self.chain.size;
        self.out.clear();
        self.out.shrink_to(CHUNK * 2);
        self.shared.advance(self.chain, &mut self.leaves, &mut self.durable);
        for (reply, sequence) in self.written.drain(..) {
            let _ = reply.send(Ok(sequence));
        }
        Ok(())
    }
}
