//! Definitions of targets that several gateways share: that one of them is about to change some, and
//! that it has. What another has read of them before is out of date then, and what it reads meanwhile
//! at once. Beside the life of a request: told before it is sent, asked before it is judged.
//!
//! A database is known by several names ([`LabelPlace::names`]), and what is told is told under each: two
//! gateways may lead to it by different hosts.

use crate::db::{On, Turn, Tx, by_dialect, query};
use crate::labels::LabelPlace;
use crate::open::{Backend, Store};
use crate::rows::{Unreadable, json};
use portcullis_core::id::SessionId;
use portcullis_core::time::Timestamp;
use std::time::Duration;

/// For so long after a gateway is gone what it was changing counts as being changed: what it had sent
/// may reach the target yet, or still be at work there.
const LINGER: Duration = Duration::from_secs(5 * 60);

/// The names of a place as rows, from the JSON text in `$1`.
macro_rules! names {
    (sqlite) => {
        "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each($1)"
    };
    (postgres) => {
        "SELECT name->>0, name->>1 FROM json_array_elements($1::json) AS names(name)"
    };
}

/// How the definitions of a place stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Grows with every change, of definitions or labels.
    pub changes: i64,
    /// Somebody is changing some at another gateway.
    pub changing: bool,
}

/// It is not known how definitions stand, or cannot be told to others: then nothing depends on them.
#[derive(Debug, thiserror::Error)]
#[error("the gateway's store does not say whether definitions were changed at another gateway")]
pub struct DefinitionError;

impl From<Unreadable> for DefinitionError {
    fn from(error: Unreadable) -> Self {
        tracing::error!(error = error.0, "it is not known whether definitions were changed");
        Self
    }
}

impl From<sqlx::Error> for DefinitionError {
    fn from(error: sqlx::Error) -> Self {
        Unreadable::from(error).into()
    }
}

/// Where gateways tell each other of definitions. Clones are the same.
#[derive(Debug, Clone)]
pub struct DefinitionStore {
    store: Store,
}

impl DefinitionStore {
    /// That of a store, where others may share it; `None` where no other gateway can.
    #[must_use]
    pub fn of(store: &Store) -> Option<Self> {
        matches!(store.backend, Backend::Postgres(_)).then(|| Self { store: store.clone() })
    }

    /// How the definitions of a place stand.
    ///
    /// # Errors
    /// [`DefinitionError`].
    pub async fn standing(&self, place: &LabelPlace) -> Result<Standing, DefinitionError> {
        Ok(standing(&self.store, place, self.store.gateway()).await?)
    }

    /// A session is about to change definitions for others, or to go on with it: others know it when
    /// this returns, whether or not they have forgotten this gateway meanwhile.
    ///
    /// # Errors
    /// [`DefinitionError`]: it must not.
    pub async fn begin(
        &self,
        place: &LabelPlace,
        session: SessionId,
    ) -> Result<(), DefinitionError> {
        self.store.marks().push((place.clone(), session));
        Ok(begin(&self.store, place, session).await?)
    }

    /// Sessions of which others may soon forget that they are changing definitions, since this gateway
    /// could not say for long that it is there: whatever they have under way has to end before that.
    #[must_use]
    pub fn overdue(&self) -> Vec<SessionId> {
        if self.store.unheard() < LINGER / 2 {
            return Vec::new();
        }
        self.store.marks().iter().map(|(_, session)| *session).collect()
    }

    /// It has, or has not, and will not any more.
    ///
    /// # Errors
    /// [`DefinitionError`]: others go on taking it to be at it.
    pub async fn end(&self, place: &LabelPlace, session: SessionId) -> Result<(), DefinitionError> {
        let mut tx = self.store.write_in(Turn::Definitions, &[]).await?;
        count(&mut tx, place).await?;
        query("DELETE FROM definition_change WHERE gateway = $1 AND session = $2")
            .bind(self.store.gateway())
            .bind(session.to_string())
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        self.store.marks().retain(|(_, other)| *other != session);
        Ok(())
    }
}

/// Says that a session is about to change definitions.
pub(crate) async fn begin(
    store: &Store,
    place: &LabelPlace,
    session: SessionId,
) -> Result<(), Unreadable> {
    let mut tx = store.write_in(Turn::Definitions, &[]).await?;
    by_dialect(
        concat!(
            "INSERT INTO definition_change (target, database, gateway, session)
             SELECT name.*, $2, $3 FROM (",
            names!(sqlite),
            ") AS name WHERE true
             ON CONFLICT (target, database, gateway, session) DO UPDATE SET until = NULL"
        ),
        concat!(
            "INSERT INTO definition_change (target, database, gateway, session)
             SELECT name.*, $2, $3 FROM (",
            names!(postgres),
            ") AS name
             ON CONFLICT (target, database, gateway, session) DO UPDATE SET until = NULL"
        ),
    )
    .bind(json(&place.names())?)
    .bind(store.gateway())
    .bind(session.to_string())
    .execute(&mut tx)
    .await?;
    count(&mut tx, place).await?;
    Ok(tx.commit().await?)
}

/// How the definitions of a place stand for a gateway.
pub(crate) async fn standing<'a>(
    on: impl Into<On<'a>>,
    place: &LabelPlace,
    gateway: &str,
) -> Result<Standing, Unreadable> {
    let row = by_dialect(
        concat!(
            "SELECT (SELECT coalesce(sum(changes), 0) FROM definition
                     WHERE (target, database) IN (",
            names!(sqlite),
            ")) AS changes,
                    (SELECT count(*) FROM definition_change
                     WHERE (target, database) IN (",
            names!(sqlite),
            ") AND gateway <> $2) AS changing"
        ),
        concat!(
            "SELECT (SELECT coalesce(sum(changes), 0)::bigint FROM definition
                     WHERE (target, database) IN (",
            names!(postgres),
            ")) AS changes,
                    (SELECT count(*) FROM definition_change
                     WHERE (target, database) IN (",
            names!(postgres),
            ") AND gateway <> $2) AS changing"
        ),
    )
    .bind(json(&place.names())?)
    .bind(gateway)
    .one(on)
    .await?;
    let changing: i64 = row.try_get("changing")?;
    Ok(Standing { changes: row.try_get("changes")?, changing: changing > 0 })
}

/// One more change.
pub(crate) async fn count(tx: &mut Tx, place: &LabelPlace) -> Result<(), Unreadable> {
    by_dialect(
        concat!(
            "INSERT INTO definition (target, database, changes)
             SELECT name.*, 1 FROM (",
            names!(sqlite),
            ") AS name WHERE true
             ON CONFLICT (target, database) DO UPDATE SET changes = definition.changes + 1"
        ),
        concat!(
            "INSERT INTO definition (target, database, changes)
             SELECT name.*, 1 FROM (",
            names!(postgres),
            ") AS name
             ON CONFLICT (target, database) DO UPDATE SET changes = definition.changes + 1"
        ),
    )
    .bind(json(&place.names())?)
    .execute(tx)
    .await?;
    Ok(())
}

/// What gateways that are not there were changing goes on for [`LINGER`], and then is over. `leaves`: that
/// one has ended its sessions, and has nothing under way.
pub(crate) async fn forget(
    store: &Store,
    leaves: Option<&str>,
    now: Timestamp,
) -> Result<(), Unreadable> {
    let mut tx = store.write_in(Turn::Definitions, &[]).await?;
    // Others read anew when it begins and when it ends.
    query(
        "UPDATE definition SET changes = changes + 1
         WHERE (target, database) IN
             (SELECT target, database FROM definition_change
              WHERE until < $1 OR gateway = $2
                  OR until IS NULL AND gateway NOT IN (SELECT id FROM gateway))",
    )
    .bind(now.as_micros())
    .bind(leaves)
    .execute(&mut tx)
    .await?;
    query("DELETE FROM definition_change WHERE until < $1 OR gateway = $2")
        .bind(now.as_micros())
        .bind(leaves)
        .execute(&mut tx)
        .await?;
    query(
        "UPDATE definition_change SET until = $1
         WHERE until IS NULL AND gateway NOT IN (SELECT id FROM gateway)",
    )
    .bind(now.plus(LINGER).as_micros())
    .execute(&mut tx)
    .await?;
    Ok(tx.commit().await?)
}
