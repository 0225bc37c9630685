//! STAND-IN, to be replaced by the client side's module of this name when the two are merged.

use bytes::Bytes;

/// What a piece of copy-in is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedKind {
    /// `CopyData`.
    Data,
    /// `CopyDone`.
    Done,
    /// `CopyFail`.
    Fail,
    /// The `Sync` that ends an extended unit whose own `Sync` the copy has swallowed.
    Sync,
}

/// Stand-in for a piece of copy-in.
#[derive(Debug, Clone)]
pub struct CopyFeed {
    bytes: Bytes,
    kind: FeedKind,
}

impl CopyFeed {
    /// A feed of this kind.
    #[must_use]
    pub const fn new(kind: FeedKind, bytes: Bytes) -> Self {
        Self { bytes, kind }
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> FeedKind {
        self.kind
    }
}

impl AsRef<[u8]> for CopyFeed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
