// A protocol small enough to read at a glance, for tests of the gate and of ways to cheat it.

use bytes::{Bytes, BytesMut};
use portcullis_core::digest::{Digest, Digester};
use portcullis_core::effect::Operation;
use portcullis_core::mask::*;
use portcullis_core::pattern::Shape;
use portcullis_core::protocol::*;
use portcullis_core::verdict::Obligations;

pub(crate) struct Toy;

#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) operation: Operation,
}

impl Request for Line {
    fn operation(&self) -> &Operation {
        &self.operation
    }
    fn digest(&self) -> Digest {
        Digester::new("toy").part(self.text.as_bytes()).finish()
    }
    fn shown(&self) -> Shown {
        Shown { statements: vec![self.text.clone()], ..Shown::default() }
    }
    fn wire_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
    /// Digits may vary.
    fn pattern(&self) -> Option<Shape> {
        let shown: String = self.text.chars().filter(|c| !c.is_ascii_digit()).collect();
        Some(Shape { digest: Digester::new("alike").part(shown.as_bytes()).finish(), shown })
    }
}

/// Replaces the word `secret`.
pub(crate) struct Hide;

impl Masker for Hide {
    type Answer = Bytes;
    type Sample = ();
    fn mask(&mut self, answer: Bytes) -> Result<Bytes, MaskFailure> {
        let text = String::from_utf8_lossy(&answer).replace("secret", "******");
        Ok(Bytes::from(text))
    }
    fn take_sample(&mut self) {}
}

#[derive(Clone, Copy)]
pub(crate) enum Ping {
    Look,
    Keep,
    Undo,
}

impl Chore for Ping {
    type Answer = Bytes;
    type Outcome = ();
    fn wire_bytes(&self) -> Vec<u8> {
        b"ping".to_vec()
    }
    fn ending(&self) -> Ending {
        match self {
            Self::Look => Ending::None,
            Self::Keep => Ending::Keeps,
            Self::Undo => Ending::Undoes,
        }
    }
    fn absorb(&mut self, _: Bytes) -> Result<Option<()>, MaskFailure> {
        Ok(Some(()))
    }
}

impl Protocol for Toy {
    const KIND: ProtocolKind = ProtocolKind::Postgres;
    type Request = Line;
    type Answer = Bytes;
    type Masker = Hide;
    type Feed = Vec<u8>;
    type Chore = Ping;
    fn masker(_: &Line, _: &Obligations) -> Hide {
        Hide
    }
    fn standing_masker(_: &Obligations) -> Hide {
        Hide
    }
    fn takes_feed(_: &Hide, _: &Vec<u8>) -> bool {
        false
    }
    fn split(buffer: &mut BytesMut) -> Result<Option<Bytes>, MaskFailure> {
        Ok((!buffer.is_empty()).then(|| buffer.split().freeze()))
    }
}

/// Lets every text pass.
#[derive(Debug)]
pub(crate) struct PassAll;

impl Redactor for PassAll {
    fn plan(&self, _: usize, fields: &[Field<'_>]) -> Result<Plan, MaskFailure> {
        Ok(Plan { columns: fields.iter().map(|_| Treatment::Pass).collect(), ..Plan::default() })
    }
    fn plan_copy(&self, _: usize, n: usize, _: CopyFormat) -> Result<Plan, MaskFailure> {
        Ok(Plan { columns: (0..n).map(|_| Treatment::Pass).collect(), ..Plan::default() })
    }
    fn redact(&self, _: &Treatment, _: (u32, Format), _: &[u8], _: &mut Vec<u8>) -> Redacted {
        Redacted::Unchanged
    }
    fn redact_error(
        &self,
        _: Option<usize>,
        _: &str,
        _: ErrorPart,
        _: &[u8],
        _: &mut Vec<u8>,
    ) -> Redacted {
        Redacted::Unchanged
    }
    fn redact_text(&self, _: &[u8], _: &mut Vec<u8>) -> Redacted {
        Redacted::Unchanged
    }
}
