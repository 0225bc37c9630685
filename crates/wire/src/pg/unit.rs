//! STAND-IN, to be replaced by the client side's module of this name when the two are merged.

use crate::pg::script::Script;
use portcullis_core::digest::{Digest, Digester};
use portcullis_core::effect::Operation;
use portcullis_core::protocol::{Request, Shown};

/// Stand-in for the unit of judgement: only what the answer side reads of it.
#[derive(Debug, Clone)]
pub struct Unit {
    script: Script,
    operation: Operation,
}

impl Unit {
    /// A unit that asks what `script` says.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self { script, operation: Operation::unreadable() }
    }

    /// What the target has been asked.
    #[must_use]
    pub const fn script(&self) -> &Script {
        &self.script
    }
}

impl Request for Unit {
    fn operation(&self) -> &Operation {
        &self.operation
    }

    fn digest(&self) -> Digest {
        Digester::new("stand-in").finish()
    }

    fn shown(&self) -> Shown {
        Shown::default()
    }

    fn wire_bytes(&self) -> &[u8] {
        &[]
    }
}
