//! The public halves of the keys that gateways sign credentials with, so that each accepts what
//! another has issued. No private key ever comes here.

use crate::credentials::{CredentialError, CredentialStore};
use crate::db::{Row, query};
use crate::open::Backend;
use crate::rows::Unreadable;
use portcullis_core::time::Timestamp;
use std::collections::HashMap;

/// Most keys that are given at once.
const MOST: i64 = 1_000;

impl CredentialStore {
    /// Makes a public key known to all gateways, until what it signs now is over.
    ///
    /// # Errors
    /// [`CredentialError::Unavailable`]: others may not accept what it signs.
    pub async fn publish_key(
        &self,
        (id, x): (&str, &str),
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), CredentialError> {
        let mut tx = self.store().write(&[]).await?;
        query(
            "INSERT INTO signing_key (id, x, gateway, until) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET until = excluded.until",
        )
        .bind(id)
        .bind(x)
        .bind(self.store().gateway())
        .bind(until.as_micros())
        .execute(&mut tx)
        .await?;
        let over = query("DELETE FROM signing_key WHERE until < $1").bind(now.as_micros());
        over.execute(&mut tx).await?;
        if matches!(self.store().backend, Backend::Sqlite { .. }) {
            // There is one gateway, which has its own keys in a file: what is not there is no key.
            query("DELETE FROM signing_key WHERE id <> $1").bind(id).execute(&mut tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// The public keys of all gateways by their ids, each with until when it is good; the newest, where
    /// there are more than anybody needs.
    ///
    /// # Errors
    /// [`CredentialError::Unavailable`].
    pub async fn public_keys(
        &self,
        now: Timestamp,
    ) -> Result<HashMap<String, (String, Timestamp)>, CredentialError> {
        let found = query(
            "SELECT id, x, until FROM signing_key WHERE until > $1 ORDER BY until DESC LIMIT $2",
        )
        .bind(now.as_micros())
        .bind(MOST)
        .all(self.store())
        .await?;
        let key = |row: &Row| {
            let until = Timestamp::from_micros(row.try_get("until")?);
            Ok((row.try_get("id")?, (row.try_get("x")?, until)))
        };
        let keys: Result<_, sqlx::Error> = found.iter().map(key).collect();
        Ok(keys.map_err(Unreadable::from)?)
    }
}
