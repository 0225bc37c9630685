//! What a protocol has to bring to pass the gate.

use crate::digest::Digest;
use crate::effect::Operation;
use crate::mask::MaskFailure;
use crate::pattern;
use crate::verdict::Obligations;
use bytes::BytesMut;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The protocols, closed: a new one does not compile until every question about it is answered.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ProtocolKind {
    /// PostgreSQL frontend/backend protocol, version 3.
    Postgres,
}

/// What can be done with a protocol's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Requests are parsed into effects before they are forwarded.
    pub judged: bool,
    /// Answers are masked field by field.
    pub masked: bool,
    /// Requests and answers are recorded.
    pub recorded: bool,
    /// A request can wait for a person on an open connection.
    pub held: bool,
    /// A caller can be told why, in the protocol's own error.
    pub explained: bool,
}

impl ProtocolKind {
    /// Every protocol.
    pub const ALL: &'static [Self] = &[Self::Postgres];

    /// The word used in configuration, policies and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
        }
    }

    /// What can be done with its requests.
    #[must_use]
    pub const fn capabilities(self) -> Capabilities {
        match self {
            Self::Postgres => Capabilities {
                judged: true,
                masked: true,
                recorded: true,
                held: true,
                explained: true,
            },
        }
    }
}

/// A request held by the gateway: whole, exact, not yet forwarded.
pub trait Request: Send {
    /// What it would do.
    fn operation(&self) -> &Operation;

    /// Digest of everything that will run: bytes, statements behind names, bound parameters.
    fn digest(&self) -> Digest;

    /// What a person reads: the statement text, verbatim, and bound parameters.
    fn shown(&self) -> Shown;

    /// The exact bytes for the target.
    fn wire_bytes(&self) -> &[u8];

    /// What of it must stay where people let some of its values vary; `None` where none may.
    fn pattern(&self) -> Option<pattern::Shape> {
        None
    }
}

/// A request as people read it. It may hold the caller's literals: redact before recording.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// Statement text, one entry per statement executed.
    pub statements: Vec<String>,
    /// Bound parameters of each, rendered as text; `None` is NULL.
    pub parameters: Vec<Vec<Option<String>>>,
    /// What belongs to it and is not shown, in words: an approval does not cover it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beyond: Vec<String>,
    /// True where statements or parameters had to be cut or left out: nobody can approve it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elided: bool,
}

/// Masks the answers to one request. Made by [`Protocol::masker`], driven by
/// [`crate::permit::InFlight::mask`].
pub trait Masker: Send {
    /// What a link reads.
    type Answer;
    /// What is kept of the answer for the recording: masked values only.
    type Sample;

    /// Masks one answer, or a burst of them.
    ///
    /// # Errors
    /// A [`MaskFailure`] ends the session: nothing of this answer is passed on.
    fn mask(&mut self, answer: Self::Answer) -> Result<Self::Answer, MaskFailure>;

    /// Takes what was kept for the recording. It holds nothing that was not masked before.
    fn take_sample(&mut self) -> Self::Sample;

    /// Takes what was kept back of the answer until the request's end is decided, masked; `None`
    /// where nothing was.
    fn take_kept(&mut self) -> Option<Self::Answer> {
        None
    }
}

/// What becomes of the changes in an open transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// They stay in it.
    None,
    /// They are kept.
    Keeps,
    /// They are undone.
    Undoes,
}

/// Something the gateway itself asks of a target: a closed set of fixed messages, with not one
/// byte of a caller's in them.
pub trait Chore: Send {
    /// What a link reads.
    type Answer;
    /// What comes of it.
    type Outcome;

    /// The bytes for the target.
    fn wire_bytes(&self) -> Vec<u8>;

    /// What it does to changes that an open transaction of the gateway's own holds.
    fn ending(&self) -> Ending {
        Ending::None
    }

    /// Takes in an answer; `Some` once the chore is done. Answers to chores never reach a client.
    ///
    /// # Errors
    /// [`MaskFailure::Malformed`] where the target answers something else.
    fn absorb(&mut self, answer: Self::Answer) -> Result<Option<Self::Outcome>, MaskFailure>;
}

/// A protocol: the types of its requests and answers, and how they are framed and masked.
pub trait Protocol: Sized + Send + 'static {
    /// Which one it is.
    const KIND: ProtocolKind;
    /// What is judged as a whole.
    type Request: Request;
    /// What a link reads at once: one or more whole frames.
    type Answer: AsRef<[u8]> + Clone + Send;
    /// How answers are masked.
    type Masker: Masker<Answer = Self::Answer>;
    /// Bytes that continue a permitted request (rows copied in).
    type Feed: AsRef<[u8]> + Send;
    /// What the gateway itself may ask.
    type Chore: Chore<Answer = Self::Answer>;

    /// The masker for the answers to `request`.
    fn masker(request: &Self::Request, obligations: &Obligations) -> Self::Masker;

    /// The masker for what a target says unasked.
    fn standing_masker(obligations: &Obligations) -> Self::Masker;

    /// True where the request in flight still takes `feed`.
    fn takes_feed(masker: &Self::Masker, feed: &Self::Feed) -> bool;

    /// Takes whole frames off the front of what was read; `None` where there is no whole one yet.
    ///
    /// # Errors
    /// [`MaskFailure`] where a frame is malformed or over the limit.
    fn split(buffer: &mut BytesMut) -> Result<Option<Self::Answer>, MaskFailure>;
}
