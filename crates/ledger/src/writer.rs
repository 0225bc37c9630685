//! The writing thread: takes everything that waits, chains it, writes it in one go, and wakes who
//! only needed it written. On the life of a request: where the receipt of a pure read is given.

use crate::chain::{Chain, finished};
use crate::queue::{Batch, Recording, RecordingJob, Reply, Waiting};
use crate::recording::RecordingState;
use crate::storage::{RecordingFile, Storage};
use crate::sync::{Shared, Watch};
use aws_lc_rs::digest;
use portcullis_core::digest::Digest;
use portcullis_core::id::SessionId;
use portcullis_core::journal::{Durability, JournalError};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

/// A batch is written in pieces of about this size, so that a segment is not overrun by much.
const CHUNK: usize = 4 * 1024 * 1024;

/// The state of the writing thread.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    storage: Arc<dyn Storage>,
    /// The end of the chain, with everything in `out`.
    chain: Chain,
    /// The number of the first entry in `out`.
    first: u64,
    /// Bytes in the current segment, and from how many on another is begun.
    segment: (u64, u64),
    out: Vec<u8>,
    written: Vec<(Reply, u64)>,
    durable: Vec<(Reply, u64)>,
    recordings: Recordings,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        storage: Arc<dyn Storage>,
        chain: Chain,
        segment: (u64, u64),
    ) -> Self {
        let recordings = Recordings { open: HashMap::new(), storage: Arc::clone(&storage) };
        let (out, written, durable) = (Vec::new(), Vec::new(), Vec::new());
        let first = chain.size;
        Self { shared, storage, chain, first, segment, out, written, durable, recordings }
    }

    /// Runs until the ledger is closed or broken.
    pub(crate) fn run(mut self) {
        let _watch = Watch(Arc::clone(&self.shared));
        let mut batch = Batch::default();
        while self.shared.queue.take(&mut batch) {
            if let Err(why) = self.commit(&mut batch) {
                self.shared.break_down(&why);
                batch.fail(&why);
                for (reply, _) in self.written.drain(..).chain(self.durable.drain(..)) {
                    let _ = reply.send(Err(JournalError::Broken(why.clone())));
                }
                return;
            }
        }
    }

    /// Writes everything in the batch.
    pub(crate) fn commit(&mut self, batch: &mut Batch) -> Result<(), String> {
        let Batch { arena, entries, events_arena, events } = batch;
        for Waiting { bytes, reply } in entries.drain(..) {
            let entry = arena.get(bytes).unwrap_or_default();
            let sequence = self.chain.seal(entry, &mut self.out);
            match reply {
                Some((Durability::Written, reply)) => self.written.push((reply, sequence)),
                Some((Durability::Durable, reply)) => self.durable.push((reply, sequence)),
                None => {}
            }
            if self.out.len() >= CHUNK {
                self.flush()?;
            }
        }
        self.flush()?;
        self.recordings.run(events, events_arena);
        Ok(())
    }

    /// Where the chain ends.
    pub(crate) const fn chain(&self) -> Chain {
        self.chain
    }

    fn flush(&mut self) -> Result<(), String> {
        if self.out.is_empty() {
            return Ok(());
        }
        let (bytes, limit) = self.segment;
        if bytes >= limit {
            let (storage, first) = (&self.storage, self.first);
            let rolled = self.shared.synced(|| storage.roll(first));
            rolled.map_err(|e| format!("beginning a segment failed: {e}"))?;
            self.segment.0 = 0;
        }
        let written = self.storage.write(&self.out);
        written.map_err(|e| format!("writing the journal failed: {e}"))?;
        self.segment.0 += self.out.len() as u64;
        self.first = self.chain.size;
        self.out.clear();
        self.out.shrink_to(CHUNK * 2);
        self.shared.advance(self.chain, &mut self.durable);
        for (reply, sequence) in self.written.drain(..) {
            let _ = reply.send(Ok(sequence));
        }
        Ok(())
    }
}

/// The recordings being written.
struct Recordings {
    open: HashMap<SessionId, OpenRecording>,
    storage: Arc<dyn Storage>,
}

struct OpenRecording {
    file: Box<dyn RecordingFile>,
    hash: digest::Context,
}

/// Events of one session that lie side by side: written in one go.
struct Run {
    session: SessionId,
    state: Arc<RecordingState>,
    bytes: Range<usize>,
}

impl Recordings {
    fn run(&mut self, jobs: &mut Vec<RecordingJob>, arena: &[u8]) {
        let mut run: Option<Run> = None;
        for RecordingJob { session, state, what } in jobs.drain(..) {
            match (&what, &mut run) {
                (Recording::Append(bytes), Some(run))
                    if run.session == session && run.bytes.end == bytes.start =>
                {
                    run.bytes.end = bytes.end;
                    continue;
                }
                _ => self.append(run.take(), arena),
            }
            match what {
                Recording::Append(bytes) => run = Some(Run { session, state, bytes }),
                Recording::GiveUp => drop(self.open.remove(&session)),
                Recording::Finish(reply) => {
                    let sealed = self.open.remove(&session).map(|OpenRecording { file, hash }| {
                        (Digest::from_bytes(finished(&hash.finish())), file)
                    });
                    let _ = reply.send(match state.failure() {
                        Some(why) => Err(why),
                        None => Ok(sealed),
                    });
                }
            }
        }
        self.append(run, arena);
    }

    /// A recording that cannot be written ends its own session, not the journal.
    fn append(&mut self, run: Option<Run>, arena: &[u8]) {
        let Some(Run { session, state, bytes }) = run else { return };
        if state.failure().is_some() {
            return;
        }
        let bytes = arena.get(bytes).unwrap_or_default();
        let open = match self.open.entry(session) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(slot) => self.storage.record(session).map(|file| {
                let hash = digest::Context::new(&digest::SHA256);
                slot.insert(OpenRecording { file, hash })
            }),
        };
        let written = open.and_then(|open| {
            open.file.write(bytes)?;
            open.hash.update(bytes);
            Ok(())
        });
        if let Err(error) = written {
            state.fail(&format!("writing the recording failed: {error}"));
            self.open.remove(&session);
        }
    }
}
