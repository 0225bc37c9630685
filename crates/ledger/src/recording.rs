//! Recordings: what a session was answered, masked. On the life of a request: after the answer was
//! masked, beside its way to the client.
//!
//! *Architecture invariant:* a recorder takes [`Masked`] values and nothing else, so a raw answer
//! cannot be recorded.

use crate::keep::{Kept, Packing};
use crate::lines::LineKey;
use crate::mac::{ADDED, Code, Macs};
use crate::queue::{Queue, Recording, RecordingJob, with_json};
use crate::storage::Storage;
use crate::sync::Shared;
use portcullis_age::Recipient;
use portcullis_core::id::{RequestId, SessionId};
use portcullis_core::journal::JournalError;
use portcullis_core::masked::Masked;
use portcullis_core::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::{Semaphore, oneshot};

/// The first line's `recording` field.
pub(crate) const FORMAT: &str = "portcullis-recording/1";
/// That of one whose lines are sealed while it is written, and of what is kept of it.
pub(crate) const KEPT: &str = "portcullis-recording/2";
/// Room kept for the line that says that the limit was reached.
const LIMIT_LINE: u64 = 512;

/// One masked value of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SampleValue {
    /// NULL.
    Null,
    /// Text, or a value in text form.
    Text(String),
    /// Bytes that are not UTF-8; recorded as `{"hex":"…"}`.
    Bytes(Vec<u8>),
}

impl SampleValue {
    /// A value as it was sent; `None` is NULL.
    #[must_use]
    pub fn from_bytes(bytes: Option<&[u8]>) -> Self {
        match bytes.map(|b| (b, std::str::from_utf8(b))) {
            None => Self::Null,
            Some((_, Ok(text))) => Self::Text(text.to_owned()),
            Some((bytes, Err(_))) => Self::Bytes(bytes.to_owned()),
        }
    }
}

impl Serialize for SampleValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("hex", &crate::chain::hex(bytes))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for SampleValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Null(()),
            Text(String),
            Bytes { hex: String },
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Null(()) => Self::Null,
            Form::Text(text) => Self::Text(text),
            Form::Bytes { hex } => Self::Bytes(unhex(&hex).ok_or_else(|| {
                serde::de::Error::custom("`hex` is not an even number of hexadecimal digits")
            })?),
        })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|p| if let &[h, l] = p { Some(digit(h)? << 4 | digit(l)?) } else { None }).collect()
}

/// The masked answer to one part of a request, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerSample {
    /// When the answer was complete.
    pub at: Timestamp,
    /// The request it answers.
    pub request: RequestId,
    /// Which part of the request, from 0.
    #[serde(default)]
    pub part: usize,
    /// Column names.
    pub columns: Vec<String>,
    /// The first rows, masked.
    pub sample: Vec<Vec<SampleValue>>,
    /// How many rows there were.
    pub rows: u64,
    /// True where the sample is not the whole answer.
    pub truncated: bool,
}

/// What a recording holds, one per line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RecordedEvent {
    /// A statement was answered.
    Answer(AnswerSample),
    /// The target said something: an error, a notice, a notification.
    Message {
        /// When.
        at: Timestamp,
        /// During which request; `None` where it came unasked.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        request: Option<RequestId>,
        /// `error`, `notice`, `notification`.
        severity: String,
        /// The target's code for it.
        code: String,
        /// Its text, masked.
        text: String,
    },
    /// The recording has reached its limit, so the session ended here.
    Limit {
        /// The limit, in bytes.
        bytes: u64,
    },
}

/// The answer cannot be recorded, so the session must end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// More is waiting to be written than may wait.
    #[error("recordings are overloaded")]
    Full,
    /// The session's recording has reached its limit.
    #[error("the session's recording has reached its limit of {0} bytes")]
    Limit(u64),
    /// It cannot be written.
    #[error("the recording cannot be written: {0}")]
    Failed(String),
}

/// What the writer and the recorder of one session both know: why it ended early, if it did.
#[derive(Debug, Default)]
pub(crate) struct RecordingState {
    ended: OnceLock<RecordError>,
}

impl RecordingState {
    pub(crate) fn fail(&self, why: &str) {
        let _ = self.ended.set(RecordError::Failed(why.to_owned()));
    }

    /// Why nothing can be written, if so.
    pub(crate) fn failure(&self) -> Option<String> {
        match self.ended.get() {
            Some(RecordError::Failed(why)) => Some(why.clone()),
            _ => None,
        }
    }
}

/// The recording of one session. Recording never waits: what cannot be queued is an error, and the
/// session must end. Events are handed to the operating system in batches and synced at the end.
#[must_use = "a recording that is dropped instead of finished has no digest in the journal"]
pub struct Recorder {
    shared: Arc<Shared>,
    session: SessionId,
    state: Arc<RecordingState>,
    macs: Arc<Macs>,
    track: Mutex<Track>,
    storage: Arc<dyn Storage>,
    recipients: Arc<[Recipient]>,
    key: Option<Arc<LineKey>>,
    packing: Arc<Semaphore>,
    limit: u64,
    finished: bool,
}

/// How the recording of a session is kept.
pub(crate) struct Keeping {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) recipients: Arc<[Recipient]>,
    /// What its lines are sealed with, if there are recipients.
    pub(crate) key: io::Result<Option<LineKey>>,
    /// How many are packed at once: that takes memory, and processors from who waits for answers.
    pub(crate) packing: Arc<Semaphore>,
    /// The most bytes of it.
    pub(crate) limit: u64,
}

/// How far a recording has come: its bytes, the number of its last event, and the code of its last line.
struct Track {
    bytes: u64,
    event: u64,
    code: Code,
}

impl Recorder {
    pub(crate) fn new(
        shared: Arc<Shared>,
        macs: Arc<Macs>,
        session: SessionId,
        keeping: Keeping,
    ) -> Self {
        let state = Arc::new(RecordingState::default());
        let track = Mutex::new(Track { bytes: 0, event: 0, code: macs.begin_recording(session) });
        let Keeping { storage, recipients, key, packing, limit } = keeping;
        let key = key.unwrap_or_else(|error| {
            // What cannot be sealed is not recorded, so the session ends with its first answer.
            state.fail(&format!("no key could be made for it: {error}"));
            None
        });
        let key = key.map(Arc::new);
        Self {
            shared,
            session,
            state,
            macs,
            track,
            storage,
            recipients,
            key,
            packing,
            limit,
            finished: false,
        }
    }

    /// Records one event.
    ///
    /// # Errors
    /// [`RecordError`]: this event and every later one are not recorded; the session must end.
    pub fn record(&self, event: &Masked<RecordedEvent>) -> Result<(), RecordError> {
        self.push(event.get())
    }

    /// Records the sample of an answer.
    ///
    /// # Errors
    /// [`RecordError`], as for [`Recorder::record`].
    pub fn append(&self, sample: &Masked<AnswerSample>) -> Result<(), RecordError> {
        #[derive(Serialize)]
        struct Tagged<'a> {
            event: &'static str,
            #[serde(flatten)]
            sample: &'a AnswerSample,
        }
        self.push(&Tagged { event: "answer", sample: sample.get() })
    }

    /// Ends the recording: everything is written, packed and synced, and what is kept is told, for the
    /// journal's `SessionClosed`. `None` where nothing was recorded.
    ///
    /// Call it on a Tokio runtime: packing runs on its blocking threads.
    ///
    /// # Errors
    /// [`RecordError::Failed`] where any part of it could not be written.
    pub async fn finish(mut self) -> Result<Option<Kept>, RecordError> {
        self.finished = true;
        let (reply, sealed) = oneshot::channel();
        self.end(Recording::Finish(reply)).map_err(failed)?;
        let sealed = sealed.await.map_err(|_| RecordError::Failed("the writer stopped".into()))?;
        let Some((digest, mut file)) = sealed.map_err(RecordError::Failed)? else {
            return Ok(None);
        };
        let packing = Packing {
            storage: Arc::clone(&self.storage),
            session: self.session,
            recipients: Arc::clone(&self.recipients),
            key: self.key.clone(),
        };
        let _turn = self.packing.acquire().await;
        let kept = tokio::task::spawn_blocking(move || packing.keep(digest, &mut *file)).await;
        kept.map_err(failed)?.map_err(failed).map(Some)
    }

    fn end(&self, what: Recording) -> Result<(), JournalError> {
        let state = Arc::clone(&self.state);
        self.shared.queue.push_end(RecordingJob { session: self.session, state, what })
    }

    fn push(&self, event: &impl Serialize) -> Result<(), RecordError> {
        let mut track = self.track.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = self.state.ended.get() {
            return Err(error.clone());
        }
        let pushed = self.push_first(&mut track).and_then(|()| self.push_event(&mut track, event));
        pushed.inspect_err(|error| {
            // A recording has no silent gaps: after the first event lost nothing is recorded.
            let _ = self.state.ended.set(error.clone());
        })
    }

    fn push_first(&self, track: &mut Track) -> Result<(), RecordError> {
        if track.bytes > 0 {
            return Ok(());
        }
        let session = self.session;
        let line = match &self.key {
            None => format!("{{\"recording\":\"{FORMAT}\",\"session\":\"{session}\"}}"),
            Some(key) => {
                let key = key.wrap(&self.recipients).map_err(failed)?;
                format!("{{\"recording\":\"{KEPT}\",\"session\":\"{session}\",\"key\":\"{key}\"}}")
            }
        };
        self.push_line(track, &mut line.into_bytes()).map_err(refused)
    }

    /// Queues a JSON object as one line with its code.
    fn push_line(&self, track: &mut Track, json: &mut Vec<u8>) -> Result<(), JournalError> {
        track.code = self.macs.close_line(&track.code, json);
        json.push(b'\n');
        self.queue().push_event(self.session, &self.state, json)?;
        track.bytes += json.len() as u64;
        Ok(())
    }

    fn push_event(&self, track: &mut Track, event: &impl Serialize) -> Result<(), RecordError> {
        let pushed = with_json(event, |json| {
            let length = self.key.as_ref().map_or(json.len(), |_| LineKey::length(json.len()));
            if track.bytes + (length + ADDED) as u64 + LIMIT_LINE > self.limit {
                return Ok(false);
            }
            self.close(track, json)?;
            self.push_line(track, json).map(|()| true)
        });
        if pushed.map_err(refused)? {
            return Ok(());
        }
        let limit = RecordedEvent::Limit { bytes: self.limit };
        let noted = with_json(&limit, |json| {
            self.close(track, json)?;
            self.push_line(track, json)
        });
        noted.map_err(refused)?;
        Err(RecordError::Limit(self.limit))
    }

    /// Seals an event to who alone can open it, if there are such.
    fn close(&self, track: &mut Track, json: &mut Vec<u8>) -> Result<(), JournalError> {
        let Some(key) = &self.key else { return Ok(()) };
        track.event += 1;
        let sealed = key.seal(track.event, json);
        sealed.map_err(|error| JournalError::Broken(format!("it cannot be sealed: {error}")))
    }

    fn queue(&self) -> &Queue {
        &self.shared.queue
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if !self.finished {
            // Where the queue takes nothing more, the writer has let go of the file already.
            let _ = self.end(Recording::GiveUp);
        }
    }
}

fn refused(error: JournalError) -> RecordError {
    match error {
        JournalError::Full | JournalError::TooLarge(_) => RecordError::Full,
        JournalError::Broken(why) => RecordError::Failed(why),
    }
}

fn failed(error: impl std::fmt::Display) -> RecordError {
    RecordError::Failed(error.to_string())
}
