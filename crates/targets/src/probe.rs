//! Looking at a target for the operator: whether it can be reached, trusted and logged in to, and
//! whether the role has more rights than a gateway should. Not on the life of a request: no caller
//! and no byte of one is near, and what is asked is fixed here.

use crate::dialer::{Dialer, LoggedIn};
use crate::error::{DialError, Step};
use crate::login::Asked;
use crate::startup::{self, StartupSettings};
use tokio::time::{Instant, timeout_at};

/// One row: is it a superuser, may it pass row security, make roles, make databases, replicate; how
/// many relations it owns; which mighty roles it is a member of. It needs no right of its own.
const RIGHTS: &str = "SELECT r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, \
     r.rolreplication, \
     (SELECT count(*) FROM pg_catalog.pg_class c WHERE c.relowner = r.oid \
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')), \
     (SELECT pg_catalog.string_agg(m.rolname, ', ' ORDER BY m.rolname) \
      FROM pg_catalog.pg_roles m WHERE NOT r.rolsuper AND m.oid <> r.oid \
      AND pg_catalog.pg_has_role(r.oid, m.oid, 'MEMBER') AND (m.rolsuper OR m.rolbypassrls \
      OR m.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_execute_server_program', \
      'pg_read_server_files', 'pg_write_server_files', 'pg_maintain'))) \
     FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";

/// What was found at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// TLS is on.
    pub encrypted: bool,
    /// The certificate was checked.
    pub verified: bool,
    /// Nothing leaves this machine on the way there.
    pub local: bool,
    /// When its certificate runs out, in seconds since 1970.
    pub certificate_ends: Option<i64>,
    /// The version it tells.
    pub version: String,
    /// What the role may do that a gateway's should not.
    pub rights: Rights,
}

/// What a role may do that a gateway's should not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Attributes of the role, in the words of `CREATE ROLE`.
    pub attributes: Vec<&'static str>,
    /// How many tables and views it owns.
    pub owns: u64,
    /// The mighty roles it is a member of.
    pub member_of: Option<String>,
}

impl Dialer {
    /// Logs in as a role of a connection, looks, and leaves.
    ///
    /// # Errors
    /// [`DialError`] says which step failed.
    pub async fn probe(&self, connection: &str, role: &str) -> Result<Probe, DialError> {
        let known = self.known(connection)?;
        let settings = StartupSettings::default();
        let startup = startup::message(
            role,
            &known.target.database,
            Some("portcullis:doctor"),
            &settings,
            false,
        );
        let entered = Box::pin(self.enter(connection, known, role, &startup)).await?;
        let LoggedIn { mut transport, security, welcome, .. } = entered;
        let deadline = Instant::now() + known.target.timeout();
        let asked = crate::login::ask(&mut transport, RIGHTS);
        let asked = timeout_at(deadline, asked).await;
        let rows = asked.map_err(|_| DialError::Timeout(Step::LoggingIn))??;
        // Nothing is lost where the target does not hear the farewell.
        let _ = transport.shutdown().await;
        let version = welcome.parameters.iter().find(|(name, _)| name == "server_version");
        Ok(Probe {
            encrypted: security.encrypted,
            verified: security.verified,
            local: security.local,
            certificate_ends: security.certificate_ends,
            version: version.map(|(_, value)| value.clone()).unwrap_or_default(),
            rights: rights(&rows)?,
        })
    }
}

fn rights(row: &Asked) -> Result<Rights, DialError> {
    let unknown = || DialError::Protocol("an answer that is not about the role");
    let [superuser, bypass, roles, databases, replication, owns, member_of] = row.as_slice() else {
        return Err(unknown());
    };
    let named = [
        (superuser, "SUPERUSER"),
        (bypass, "BYPASSRLS"),
        (roles, "CREATEROLE"),
        (databases, "CREATEDB"),
        (replication, "REPLICATION"),
    ];
    let mut attributes = Vec::new();
    for (value, name) in named {
        match value.as_deref() {
            Some("t") => attributes.push(name),
            Some("f") => {}
            _ => return Err(unknown()),
        }
    }
    let owns = owns.as_deref().and_then(|count| count.parse().ok()).ok_or_else(unknown)?;
    Ok(Rights { attributes, owns, member_of: member_of.clone() })
}
