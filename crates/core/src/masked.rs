//! What came from a target is [`Raw`] until it is [`Masked`] under a permit.
//!
//! *Architecture invariant:* `Raw` has no accessor, and no `Debug`, `Clone` or serialisation that
//! reveals it. It is opened in one place, [`crate::permit::InFlight::mask`].

use std::fmt;

/// A value from a target that nobody has masked yet.
pub struct Raw<T>(T);

impl<T> Raw<T> {
    /// Wraps what a target sent. Wrapping is always safe; only masking opens it again.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    pub(crate) fn open(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Raw<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Raw(…)")
    }
}

/// A value that may be shown and recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked<T>(T);

impl<T> Masked<T> {
    pub(crate) const fn from_masker(value: T) -> Self {
        Self(value)
    }

    /// A value the gateway wrote itself: refusals, notices, log-in messages.
    ///
    /// This is an assertion by the caller that no byte of a target is in it. A test lists the
    /// places that make it.
    #[must_use]
    pub const fn authored_assertion(value: T) -> Self {
        Self(value)
    }

    /// The value.
    #[must_use]
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// Another form of the same masked value.
    pub fn map<U>(self, form: impl FnOnce(T) -> U) -> Masked<U> {
        Masked(form(self.0))
    }

    /// The value, by move.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}
