//! PostgreSQL as a protocol of the gate: the types of its requests and answers, and how answers
//! are framed and masked.

use super::answer::AnswerMasker;
use super::chore::Chore;
use super::conversation::CopyFeed;
use super::frames::{self, Frames};
use super::unit::Unit;
use bytes::BytesMut;
use portcullis_core::mask::MaskFailure;
use portcullis_core::protocol::{Protocol, ProtocolKind};
use portcullis_core::verdict::Obligations;

/// PostgreSQL frontend/backend protocol, version 3.
#[derive(Debug, Clone, Copy)]
pub struct Postgres;

impl Protocol for Postgres {
    const KIND: ProtocolKind = ProtocolKind::Postgres;
    type Request = Unit;
    type Answer = Frames;
    type Masker = AnswerMasker;
    type Feed = CopyFeed;
    type Chore = Chore;

    fn masker(request: &Unit, obligations: &Obligations) -> AnswerMasker {
        AnswerMasker::new(request.script(), obligations)
    }

    fn standing_masker(obligations: &Obligations) -> AnswerMasker {
        AnswerMasker::standing(obligations)
    }

    fn takes_feed(masker: &AnswerMasker, _feed: &CopyFeed) -> bool {
        masker.takes_feed()
    }

    fn split(buffer: &mut BytesMut) -> Result<Option<Frames>, MaskFailure> {
        frames::split(buffer)
    }
}
