//! The files of the recordings being written. On the life of a request: after the answer was masked
//! and recorded, in the keeper's thread.

use crate::chain::finished;
use crate::queue::{Events, Recording, RecordingJob};
use crate::recording::RecordingState;
use crate::storage::{RecordingFile, Storage};
use aws_lc_rs::digest;
use portcullis_core::digest::Digest;
use portcullis_core::id::SessionId;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;

/// Memory kept between writes, in bytes.
const KEEP: usize = 256 * 1024;

/// The recordings being written.
pub(crate) struct Tapes {
    open: HashMap<SessionId, OpenRecording>,
    storage: Arc<dyn Storage>,
    out: Vec<u8>,
}

struct OpenRecording {
    file: Box<dyn RecordingFile>,
    hash: digest::Context,
}

/// Events of one session that are written in one go.
struct Run {
    session: SessionId,
    state: Arc<RecordingState>,
}

impl Tapes {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        Self { open: HashMap::new(), storage, out: Vec::new() }
    }

    /// Does what is asked, session by session, each in the order of its events.
    pub(crate) fn run(&mut self, events: &mut Events) {
        let Events { jobs, arena } = events;
        jobs.sort_by_key(|job| job.session);
        let mut run: Option<Run> = None;
        for RecordingJob { session, state, what } in jobs.drain(..) {
            if run.as_ref().is_some_and(|run| run.session != session) {
                self.append(run.take());
            }
            match what {
                Recording::Append(bytes) => {
                    self.out.extend_from_slice(arena.get(bytes).unwrap_or_default());
                    run = Some(Run { session, state });
                }
                Recording::GiveUp => {
                    self.append(run.take());
                    self.open.remove(&session);
                }
                Recording::Finish(reply) => {
                    self.append(run.take());
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
        self.append(run);
    }

    /// Writes what was gathered for one session. A recording that cannot be written ends its own
    /// session, not the journal.
    fn append(&mut self, run: Option<Run>) {
        let Some(Run { session, state }) = run else { return };
        let mut bytes = std::mem::take(&mut self.out);
        if state.failure().is_none()
            && let Err(error) = self.write(session, &bytes)
        {
            state.fail(&format!("writing the recording failed: {error}"));
            self.open.remove(&session);
        }
        bytes.clear();
        bytes.shrink_to(KEEP);
        self.out = bytes;
    }

    fn write(&mut self, session: SessionId, bytes: &[u8]) -> io::Result<()> {
        let open = match self.open.entry(session) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(slot) => slot.insert(OpenRecording {
                file: self.storage.record(session)?,
                hash: digest::Context::new(&digest::SHA256),
            }),
        };
        open.file.write(bytes)?;
        open.hash.update(bytes);
        Ok(())
    }
}
