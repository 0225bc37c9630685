//! The journal a gateway writes. On the life of a request: between the verdict and the permit, and
//! again when the outcome is known.

use crate::chain::Chain;
use crate::error::LedgerError;
use crate::head::{Signer, Torn};
use crate::keep::{self, Form};
use crate::layout::{self, Layout};
use crate::levels::Levels;
use crate::lines::LineKey;
use crate::mac::Macs;
use crate::queue::{Batch, LINGER, Limits, Queue, Waiting, with_json};
use crate::recording::{Keeping, Recorder};
use crate::recover::{self, Found, Tape};
use crate::storage::{Files, Storage};
use crate::sync::{Shared, Syncer};
use crate::tapes::Tapes;
use crate::writer::{Desk, Turn, Writer};
use portcullis_age::Recipient;
use portcullis_core::id::SessionId;
use portcullis_core::journal::{Durability, Entry, Event, Journal, JournalError, Receipt, Status};
use std::fmt;
use std::fs::{File, TryLockError};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, oneshot};

/// Settings of a ledger.
#[derive(Debug, Clone)]
pub struct LedgerSettings {
    /// The log's name in signed heads, best an address without a scheme. Fixed when the signing
    /// key is made.
    pub origin: String,
    /// A segment is followed by another once it has this many bytes.
    pub segment_bytes: u64,
    /// Entries that may wait to be written.
    pub queue_entries: usize,
    /// Bytes of entries that may wait to be written.
    pub queue_bytes: usize,
    /// Recorded events that may wait to be written.
    pub recording_queue_entries: usize,
    /// Bytes of recorded events that may wait to be written.
    pub recording_queue_bytes: usize,
    /// How long anything written may stay unsynced.
    pub sync_within: Duration,
    /// How often a head is signed, at most.
    pub head_every: Duration,
    /// The largest recording of one session, in bytes.
    pub recording_bytes: u64,
    /// Who alone can open recordings; without any, they are not sealed.
    pub recipients: Vec<Recipient>,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self {
            origin: "portcullis.invalid/journal".to_owned(),
            segment_bytes: 64 * 1024 * 1024,
            queue_entries: 65_536,
            queue_bytes: 64 * 1024 * 1024,
            recording_queue_entries: 65_536,
            recording_queue_bytes: 64 * 1024 * 1024,
            sync_within: Duration::from_millis(10),
            head_every: Duration::from_secs(1),
            recording_bytes: 64 * 1024 * 1024,
            recipients: Vec::new(),
        }
    }
}

/// What opening a ledger found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Entries that were there.
    pub entries: u64,
    /// Files with bytes cut off as torn, or set aside because nothing proves that a gateway wrote
    /// them; the first signed head names them.
    pub torn: Vec<PathBuf>,
    /// Requests closed as abandoned.
    pub abandoned: usize,
    /// Sessions closed because the gateway had stopped.
    pub closed_sessions: usize,
}

/// The journal and the recordings of one gateway. Clones share one writer; the last one dropped
/// closes it.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    desk: Arc<Desk>,
    running: Mutex<Option<Running>>,
    recovery: Recovery,
    macs: Arc<Macs>,
    vkey: String,
    storage: Arc<dyn Storage>,
    layout: Layout,
    recording_bytes: u64,
    recipients: Arc<[Recipient]>,
    packing: Arc<Semaphore>,
}

/// How many recordings are packed at once.
const PACKING: usize = 2;

/// What an open ledger holds on to.
struct Running {
    keeper: JoinHandle<()>,
    syncer: JoinHandle<()>,
    /// Keeps other gateways out.
    _lock: File,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("key", &self.0.vkey).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens the ledger in `dir`, or makes one there. Reads the whole journal, closes what a crash
    /// left open, and blocks meanwhile.
    ///
    /// # Errors
    /// [`LedgerError`]: in particular [`LedgerError::Damaged`] for anything but a torn last line, or
    /// a tail that no signed head covers.
    pub fn open(dir: &Path, settings: LedgerSettings) -> Result<Self, LedgerError> {
        Self::open_on(dir, settings, |files| Arc::new(files))
    }

    /// As [`Ledger::open`], writing through a storage of the caller's, which stands before the real
    /// files: for tests that inject faults.
    ///
    /// # Errors
    /// As for [`Ledger::open`].
    pub fn open_on(
        dir: &Path,
        settings: LedgerSettings,
        wrap: impl FnOnce(Files) -> Arc<dyn Storage>,
    ) -> Result<Self, LedgerError> {
        let layout = Layout::new(dir);
        for dir in [dir, &layout.journal(), &layout.tree(), &layout.keys(), &layout.recordings()] {
            layout::create_dir(dir).map_err(LedgerError::io("create", dir))?;
        }
        let lock = lock(&layout.lock())?;
        let new = recover::is_new(&layout)?;
        let signer = Signer::load(&layout, &settings.origin, new)?;
        let (vkey, macs) = (signer.vkey().to_owned(), Arc::clone(signer.macs()));
        let mut found = recover::find(&layout, &signer)?;
        let torn = found.repair(&layout)?;
        let trees = layout.tree();
        let levels = found.levels.take().map_or(Ok(()), Levels::repair);
        levels.map_err(LedgerError::io("write the tree in", &trees))?;
        let journal = layout.journal();
        let files = Files::open(&layout, found.segment.0)
            .map_err(LedgerError::io("open for appending", &journal))?;
        let storage = wrap(files);
        let recovery = Recovery {
            entries: found.chain.size,
            torn: torn.iter().map(|t| journal.join(&t.name)).collect(),
            abandoned: found.orphans.len(),
            closed_sessions: found.sessions.len(),
        };
        let tidied = keep::tidy(&layout, &found.sessions).map_err(io::Error::other);
        tidied.map_err(LedgerError::io("tidy", &layout.recordings()))?;
        let closing = closing_entries(&layout, &macs, &found, &torn)?;
        let tapes = Tapes::new(Arc::clone(&storage));
        let (shared, mut writer, mut syncer) =
            engine(&settings, &found, Arc::clone(&storage), signer);
        let changed = !closing.is_empty() || !torn.is_empty() || found.head != Some(found.chain);
        if changed {
            write_now(&mut writer, &syncer, closing)
                .and_then(|chain| syncer.publish_first(chain, torn))
                .map_err(LedgerError::Broken)?;
        }
        let desk = Arc::new(Desk::new(Arc::clone(&shared), writer));
        let threads = spawn(Arc::clone(&desk), tapes, syncer);
        let (keeper, syncer) = threads.map_err(LedgerError::io("start a thread for", dir))?;
        let running = Mutex::new(Some(Running { keeper, syncer, _lock: lock }));
        let (recording_bytes, recipients) = (settings.recording_bytes, settings.recipients.into());
        let inner = Inner {
            shared,
            desk,
            running,
            recovery,
            macs,
            vkey,
            storage,
            layout,
            recording_bytes,
            recipients,
            packing: Arc::new(Semaphore::new(PACKING)),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.0.recovery
    }

    /// The verifier key (C2SP signed-note) of the signed heads: keep it where the owner of this
    /// storage cannot change it.
    #[must_use]
    pub fn verifier_key(&self) -> &str {
        &self.0.vkey
    }

    /// Begins the recording of a session. The file appears with the first event.
    pub fn recorder(&self, session: SessionId) -> Recorder {
        let (shared, macs) = (Arc::clone(&self.0.shared), Arc::clone(&self.0.macs));
        let (storage, recipients) = (Arc::clone(&self.0.storage), Arc::clone(&self.0.recipients));
        let key = (!recipients.is_empty()).then(|| LineKey::generate(session)).transpose();
        let (packing, limit) = (Arc::clone(&self.0.packing), self.0.recording_bytes);
        let keeping = Keeping { storage, recipients, key, packing, limit };
        Recorder::new(shared, macs, session, keeping)
    }

    /// Whether entries are taken.
    ///
    /// # Errors
    /// [`JournalError::Broken`] once it is broken or closed.
    pub fn health(&self) -> Result<(), JournalError> {
        self.0.shared.queue.alive()
    }

    /// How many entries are written: the number that the next one gets.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.0.shared.written()
    }

    /// How many entries are on stable storage: those before that number are there after a crash of the
    /// machine too.
    #[must_use]
    pub fn safe(&self) -> u64 {
        self.0.shared.safe()
    }

    /// Begins another segment, where there is anything in this one: what is in it can then be removed once its time
    /// is over. Blocks.
    ///
    /// # Errors
    /// [`LedgerError::Broken`]: the journal takes nothing more.
    pub fn roll(&self) -> Result<(), LedgerError> {
        self.0.desk.roll().map_err(LedgerError::Broken)
    }

    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.0.storage)
    }

    pub(crate) fn layout(&self) -> Layout {
        self.0.layout.clone()
    }

    /// Writes and syncs what waits, signs the last head, and takes nothing more. Blocks. Can be
    /// repeated.
    ///
    /// # Errors
    /// [`LedgerError::Broken`] where a write or a sync has failed since it was opened.
    pub fn close(&self) -> Result<(), LedgerError> {
        self.0.close()
    }

    /// Queues an entry, serialised in the calling task. Where nobody else is writing, the turn to
    /// write is the caller's.
    fn submit(
        &self,
        entry: &Entry,
        durability: Durability,
    ) -> Result<(Receiving, Option<Turn>), JournalError> {
        let (reply, receipt) = oneshot::channel();
        let turn =
            with_json(entry, |json| self.0.shared.queue.push(json, Some((durability, reply))))?;
        Ok((receipt, turn.then(|| Turn::new(Arc::clone(&self.0.desk)))))
    }
}

type Receiving = oneshot::Receiver<Result<u64, JournalError>>;

impl Journal for Ledger {
    fn append(
        &self,
        entry: Entry,
        durability: Durability,
    ) -> impl Future<Output = Result<Receipt, JournalError>> + Send {
        let submitted = self.submit(&entry, durability);
        async move {
            let (receipt, turn) = submitted?;
            if let Some(turn) = turn {
                // Whoever else is ready on this thread adds an entry first: one write for all.
                tokio::task::yield_now().await;
                turn.write();
            }
            match receipt.await {
                Ok(result) => result.map(Receipt::issued_by_journal_assertion),
                Err(_) => Err(JournalError::Broken("the writer stopped".to_owned())),
            }
        }
    }

    fn note(&self, entry: Entry) -> Result<(), JournalError> {
        // A note never gets the turn to write.
        with_json(&entry, |json| self.0.shared.queue.push(json, None)).map(drop)
    }
}

impl Inner {
    fn close(&self) -> Result<(), LedgerError> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { keeper, syncer, _lock }) = running {
            self.shared.queue.close();
            // A thread that panicked has broken the ledger, which is told below.
            let _ = keeper.join();
            self.shared.finish();
            let _ = syncer.join();
        }
        match self.shared.queue.broken() {
            Some(why) => Err(LedgerError::Broken(why.to_string())),
            None => Ok(()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the journal did not end well");
        }
    }
}

/// Takes the lock. Whoever looks whether a gateway is running holds it for a moment
/// ([`crate::verify::is_open`]), so it is asked for a few times.
fn lock(path: &Path) -> Result<File, LedgerError> {
    let open = layout::private().write(true).create(true).truncate(false).open(path);
    let file = open.map_err(LedgerError::io("open", path))?;
    for _ in 0..20 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            Err(TryLockError::Error(e)) => return Err(LedgerError::io("lock", path)(e)),
        }
    }
    Err(LedgerError::Locked { path: path.to_owned() })
}

fn engine(
    settings: &LedgerSettings,
    found: &Found,
    storage: Arc<dyn Storage>,
    signer: Signer,
) -> (Arc<Shared>, Writer, Syncer) {
    let queue = Queue::new(Limits {
        entries: settings.queue_entries,
        bytes: settings.queue_bytes,
        events: settings.recording_queue_entries,
        event_bytes: settings.recording_queue_bytes,
    });
    let sync_after = settings.sync_within.saturating_sub(LINGER);
    let shared = Arc::new(Shared::new(queue, found.chain, sync_after));
    let segment = (found.segment.1, settings.segment_bytes);
    let macs = Arc::clone(signer.macs());
    let writer = Writer::new(Arc::clone(&shared), Arc::clone(&storage), macs, found.chain, segment);
    let syncer = Syncer {
        shared: Arc::clone(&shared),
        storage,
        signer,
        tree: found.tree.clone(),
        grown: Vec::new(),
        head: found.head,
        head_at: Instant::now(),
        head_every: settings.head_every,
    };
    (shared, writer, syncer)
}

/// Writes entries before the threads run.
fn write_now(writer: &mut Writer, syncer: &Syncer, entries: Vec<Entry>) -> Result<Chain, String> {
    let mut batch = Batch::default();
    for entry in entries {
        let start = batch.arena.len();
        serde_json::to_writer(&mut batch.arena, &entry).map_err(|e| e.to_string())?;
        batch.entries.push(Waiting { bytes: start..batch.arena.len(), reply: None });
    }
    writer.commit(&mut batch)?;
    let synced = syncer.shared.synced(|| syncer.storage.sync());
    synced.map_err(|e| format!("syncing the journal failed: {e}"))?;
    Ok(writer.chain())
}

fn spawn(
    desk: Arc<Desk>,
    tapes: Tapes,
    syncer: Syncer,
) -> io::Result<(JoinHandle<()>, JoinHandle<()>)> {
    let shared = Arc::clone(&syncer.shared);
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let syncer = thread("journal-sync").spawn(move || syncer.run())?;
    match thread("journal-keep").spawn(move || desk.keep(tapes)) {
        Ok(keeper) => Ok((keeper, syncer)),
        Err(error) => {
            shared.finish();
            Err(error)
        }
    }
}

/// What has to be appended so that nothing a crash left open stays open, and nothing that was set
/// aside goes unsaid.
fn closing_entries(
    layout: &Layout,
    macs: &Macs,
    found: &Found,
    pieces: &[Torn],
) -> Result<Vec<Entry>, LedgerError> {
    let at = layout::now();
    let abandoned = Event::Outcome {
        status: Status::Abandoned,
        rows: 0,
        tags: Vec::new(),
        error: None,
        masked: 0,
        micros: 0,
    };
    let mut entries = Vec::with_capacity(found.orphans.len() + found.sessions.len());
    for event in recover::unproven(layout, macs, pieces)? {
        entries.push(Entry { at, session: None, request: None, event });
    }
    for (session, request) in &found.orphans {
        let event = abandoned.clone();
        entries.push(Entry { at, session: *session, request: Some(*request), event });
    }
    for session in &found.sessions {
        let path = layout.kept(*session, Form::Lines);
        let tape = recover::tape(layout, macs, *session);
        let (recording, unproven) = match tape.map_err(LedgerError::io("read", &path))? {
            Tape::None => (None, None),
            Tape::Proven(digest) => (Some(digest), None),
            Tape::Unproven(event) => (None, Some(*event)),
        };
        let entry = |event| Entry { at, session: Some(*session), request: None, event };
        let reason = match unproven {
            None => "gateway stopped",
            Some(_) => "gateway stopped; its recording is unproven",
        };
        entries.extend(unproven.map(entry));
        entries.push(entry(Event::SessionClosed { reason: reason.to_owned(), recording }));
    }
    Ok(entries)
}
