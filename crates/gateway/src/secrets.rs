//! Where the credentials of targets come from: the settings of master key and Vault, and the store
//! behind `sealed:`. What is sealed passes here unopened, to be opened in `portcullis-targets` alone.

use crate::config::Config;
use anyhow::Context as _;
use portcullis_store::{SecretRow, SecretStore};
use portcullis_targets::{
    Found, Kept, MasterKeySettings, Reference, Sealed, SecretError, SecretName, Secrets,
    StoreUnavailable, VaultSettings, Wrap,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;
use tracing::{error, warn};

/// Where the credentials of targets come from.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SecretSettings {
    /// The key that opens `sealed:` secrets.
    pub(crate) master_key: Option<MasterKeySettings>,
    /// Where `vault:` secrets are.
    pub(crate) vault: Option<VaultSettings>,
}

impl SecretSettings {
    /// Makes relative paths ones below `base`.
    pub(crate) fn resolve(&mut self, base: &Path) {
        if let Some(file) = self.master_key.as_mut().and_then(|key| key.file.as_mut()) {
            *file = base.join(&*file);
        }
        if let Some(vault) = &mut self.vault {
            vault.token.resolve(base);
            if let Some(path) = &mut vault.certificate {
                *path = base.join(&*path);
            }
        }
    }

    /// What the connections need and the settings do not have.
    pub(crate) fn fault(&self, config: &Config) -> Option<String> {
        if let Some(Err(error)) = self.master_key.as_ref().map(MasterKeySettings::check) {
            return Some(format!("secrets.master_key: {error}"));
        }
        for (connection, _, reference) in references(config) {
            let missing = match reference {
                Reference::Sealed(_) if self.master_key.is_none() => SecretError::NoMasterKey,
                Reference::Vault(_) if self.vault.is_none() => SecretError::NoVault,
                _ => continue,
            };
            return Some(format!("connections.{connection}.target.password_from: {missing}"));
        }
        None
    }

    /// What works, and weakens.
    pub(crate) fn doubts(&self, config: &Config) -> Option<String> {
        let file = self.master_key.as_ref()?.file.as_ref()?;
        file.starts_with(&config.data_dir).then(|| {
            "secrets.master_key.file is below data_dir, so whoever copies that has the sealed \
             secrets and their key: keep it elsewhere"
                .to_owned()
        })
    }
}

/// The references of all roles: connection, role, reference.
pub(crate) fn references(config: &Config) -> impl Iterator<Item = (&str, &str, &Reference)> {
    config.connections.iter().flat_map(|(name, connection)| {
        connection.target.references().map(move |(role, from)| (name.as_str(), role, from))
    })
}

/// A secret as the vault takes it. What the row says of itself is checked when it is opened.
pub(crate) fn sealed(row: &SecretRow) -> Result<Sealed, StoreUnavailable> {
    let wraps = row.wraps.iter();
    let wraps = wraps.map(|(master, key)| Wrap { master: master.clone(), key: key.clone() });
    Ok(Sealed {
        name: row.name.parse().map_err(|_| StoreUnavailable)?,
        connection: row.connection.clone(),
        purpose: row.purpose.clone(),
        value: row.value.clone(),
        wraps: wraps.collect(),
    })
}

/// The secrets of the gateway's store.
struct InStore(SecretStore);

impl Kept for InStore {
    fn find<'a>(&'a self, name: &'a SecretName) -> Found<'a> {
        Box::pin(async move {
            // Why not is in the log.
            let row = self.0.find(name.as_str()).await.map_err(|_| StoreUnavailable)?;
            row.as_ref().map(sealed).transpose()
        })
    }
}

/// Secrets that were read from a store which is only looked at.
pub(crate) struct Read(pub(crate) Vec<SecretRow>);

impl Kept for Read {
    fn find<'a>(&'a self, name: &'a SecretName) -> Found<'a> {
        let row = self.0.iter().find(|row| row.name == name.as_str());
        let found = row.map(sealed).transpose();
        Box::pin(std::future::ready(found))
    }
}

/// What opens the references of a configuration, over secrets kept somewhere.
pub(crate) fn over(config: &Config, kept: Arc<dyn Kept>) -> anyhow::Result<Secrets> {
    let SecretSettings { master_key, vault } = &config.secrets;
    Secrets::new(master_key.clone(), vault.as_ref(), kept).context("secrets")
}

fn is_document(config: &Config, connection: &str) -> bool {
    config.connections.get(connection).is_some_and(|one| !one.fixed.is_empty())
}

/// The same, over those of the gateway's store. Nothing starts with a master key that does not open
/// what is there: every log-in to a target would fail, one after the other.
pub(crate) async fn open(config: &Config, store: SecretStore) -> anyhow::Result<Secrets> {
    let secrets = over(config, Arc::new(InStore(store)))?;
    for (connection, role, reference) in references(config) {
        let Reference::Sealed(name) = reference else { continue };
        match secrets.check(name, connection).await {
            Ok(()) => {}
            // One connection waits for its secret; the others go on.
            Err(error @ SecretError::Unknown(_)) => {
                warn!(%connection, role, %error, "nobody can log in to the target");
            }
            // Nor does a document that names somebody else's keep a gateway from starting.
            Err(error) if is_document(config, connection) => {
                error!(%connection, role, %error, "nobody can log in to the target");
            }
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("connections.{connection}.target: the credential of role {role}")
                });
            }
        }
    }
    Ok(secrets)
}
