//! Assertions of SAML providers that were used: each is used once, also by a gateway that was started
//! anew. What cannot be kept as used is not used.

use crate::browser::BrowserSessionError;
use crate::db::query;
use crate::open::Store;
use portcullis_core::time::Timestamp;

/// Where it is kept which assertions were used. Clones are the same.
#[derive(Debug, Clone)]
pub struct AssertionStore {
    store: Store,
}

impl AssertionStore {
    /// The used assertions of a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Keeps that an assertion, named by its issuer and the ID it has there, was used; true for the
    /// first use. It is kept until nobody would take the assertion any more.
    ///
    /// # Errors
    /// [`BrowserSessionError`]: then it must not be used.
    pub async fn use_once(
        &self,
        (issuer, id, until): (&str, &str, Timestamp),
    ) -> Result<bool, BrowserSessionError> {
        let kept = query(
            "INSERT INTO assertion (issuer, id, until) VALUES ($1, $2, $3)
             ON CONFLICT (issuer, id) DO NOTHING",
        );
        let kept = kept.bind(issuer).bind(id).bind(until.as_micros());
        Ok(self.store.change(&[], kept).await? == 1)
    }

    /// Forgets those nobody would take any more at `now`; how many.
    ///
    /// # Errors
    /// [`BrowserSessionError`]: they stay, and do no harm.
    pub async fn forget_expired(&self, now: Timestamp) -> Result<u64, BrowserSessionError> {
        let gone = query("DELETE FROM assertion WHERE until <= $1").bind(now.as_micros());
        Ok(self.store.change(&[], gone).await?)
    }
}
