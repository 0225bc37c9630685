//! The vault: what opens references while a target is dialed. The store and the settings belong to
//! others, who hand in what is sealed; what is open never leaves this crate.

use crate::credential::CredentialError;
use crate::hashicorp::{HashiCorp, VaultError, VaultSettings};
use crate::master::{MasterKeyError, MasterKeySettings};
use crate::reference::{SecretName, VaultPath};
use crate::seal::{MasterKey, SealError, Sealed};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// What the credentials of targets are sealed for.
pub const TARGET_PASSWORD: &str = "password of a target";

/// A call that is under way.
pub type Found<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Sealed>, StoreUnavailable>> + Send + 'a>>;

/// The store of sealed secrets cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store of sealed secrets cannot be read")]
pub struct StoreUnavailable;

/// Where sealed secrets are kept. It has no key to them.
pub trait Kept: Send + Sync {
    /// The one of this name, as it is now; `None` where there is none.
    fn find<'a>(&'a self, name: &'a SecretName) -> Found<'a>;
}

/// A reference that cannot be opened. Never holds any of a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Sealed secrets are not kept here.
    #[error("`sealed:` needs a master key: add [secrets.master_key] to the configuration")]
    NoMasterKey,
    /// Vault is not configured.
    #[error("`vault:` needs [secrets.vault] in the configuration")]
    NoVault,
    /// There is no secret of this name.
    #[error("there is no sealed secret `{0}`: `portcullis secret set {0}`")]
    Unknown(SecretName),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreUnavailable),
    /// The master key cannot be had.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// It does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Vault does not give it.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// What opens `sealed:` and `vault:`.
#[derive(Default)]
pub struct Secrets {
    master: Option<Arc<MasterSource>>,
    vault: Option<HashiCorp>,
    kept: Option<Arc<dyn Kept>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

/// The master key, in memory once it was read: a key management service is not asked for every
/// log-in. Read again where it does not open what it should, because it may have been changed.
struct MasterSource {
    settings: MasterKeySettings,
    read: Mutex<Option<Arc<MasterKey>>>,
}

impl MasterSource {
    async fn key(self: &Arc<Self>, again: bool) -> Result<Arc<MasterKey>, MasterKeyError> {
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let (Some(key), false) = (known, again) {
            return Ok(key);
        }
        let source = self.clone();
        let reading = tokio::task::spawn_blocking(move || source.settings.read());
        let key = reading.await.unwrap_or(Err(MasterKeyError::Places))?;
        let key = Arc::new(key);
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
        Ok(key)
    }
}

impl Secrets {
    /// What the settings name, over the store of sealed secrets. Nothing is read yet but Vault's
    /// certificate.
    ///
    /// # Errors
    /// [`SecretError`] where the settings cannot be used.
    pub fn new(
        master: Option<MasterKeySettings>,
        vault: Option<&VaultSettings>,
        kept: Arc<dyn Kept>,
    ) -> Result<Self, SecretError> {
        if let Some(settings) = &master {
            settings.check()?;
        }
        let vault = vault.map(HashiCorp::new).transpose()?;
        let source = |settings| Arc::new(MasterSource { settings, read: Mutex::new(None) });
        Ok(Self { master: master.map(source), vault, kept: Some(kept) })
    }

    /// The master key, read anew.
    ///
    /// # Errors
    /// [`SecretError`]: there is none, or it cannot be had.
    pub async fn master_key(&self) -> Result<Arc<MasterKey>, SecretError> {
        let source = self.master.as_ref().ok_or(SecretError::NoMasterKey)?;
        Ok(source.key(true).await?)
    }

    /// Whether a sealed secret opens for a connection.
    ///
    /// # Errors
    /// [`SecretError`]: it does not.
    pub async fn check(&self, name: &SecretName, connection: &str) -> Result<(), SecretError> {
        self.open_sealed(name, connection).await.map(drop)
    }

    pub(crate) async fn open_sealed(
        &self,
        name: &SecretName,
        connection: &str,
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let (Some(master), Some(kept)) = (&self.master, &self.kept) else {
            return Err(SecretError::NoMasterKey);
        };
        let unknown = || SecretError::Unknown(name.clone());
        let sealed = kept.find(name).await?.ok_or_else(unknown)?;
        if sealed.connection != connection {
            let (bound, asks) = (sealed.connection, connection.to_owned());
            return Err(SealError::OtherConnection { name: name.clone(), bound, asks }.into());
        }
        // What the store says is not believed: these are what the caller asked for.
        let sealed = Sealed {
            name: name.clone(),
            connection: connection.to_owned(),
            purpose: TARGET_PASSWORD.to_owned(),
            ..sealed
        };
        match master.key(false).await?.open(&sealed) {
            Err(SealError::OtherKey { .. }) => Ok(master.key(true).await?.open(&sealed)?),
            opened => Ok(opened?),
        }
    }

    pub(crate) async fn fetch(&self, place: &VaultPath) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let vault = self.vault.as_ref().ok_or(SecretError::NoVault)?;
        Ok(vault.fetch(place).await?)
    }
}

/// A secret that somebody has typed or piped in, to be sealed and forgotten.
pub struct Plain(Zeroizing<Vec<u8>>);

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain(…)")
    }
}

impl Plain {
    /// Takes a value as credentials are read: one line end at its end is not part of it.
    ///
    /// # Errors
    /// [`CredentialError`] where it cannot be a password.
    pub fn new(value: Zeroizing<Vec<u8>>) -> Result<Self, CredentialError> {
        crate::credential::checked(value).map(Self)
    }

    /// Seals it as the password of a target.
    ///
    /// # Errors
    /// [`SealError::Randomness`].
    pub fn seal(
        &self,
        master: &MasterKey,
        name: &SecretName,
        connection: &str,
    ) -> Result<Sealed, SealError> {
        master.seal(name, connection, TARGET_PASSWORD, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[derive(Default)]
    struct Store(Mutex<Option<Sealed>>);

    impl Kept for Store {
        fn find<'a>(&'a self, name: &'a SecretName) -> Found<'a> {
            let found = self.0.lock().unwrap().clone();
            Box::pin(async move { Ok(found.filter(|sealed| sealed.name == *name)) })
        }
    }

    fn key(path: &Path) -> MasterKey {
        let key = MasterKey::generate().unwrap();
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap()).unwrap();
        std::io::Write::write_all(&mut file, key.to_text().as_bytes()).unwrap();
        file.persist(path).unwrap();
        key
    }

    #[tokio::test]
    async fn a_sealed_secret_opens_for_its_connection_and_after_the_key_was_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        let old = key(&path);
        let store = Arc::new(Store::default());
        let settings = MasterKeySettings { file: Some(path.clone()), ..Default::default() };
        let secrets = Secrets::new(Some(settings), None, store.clone()).unwrap();
        let name: SecretName = "shop".parse().unwrap();
        let open = async || secrets.open_sealed(&name, "shop").await;
        assert!(matches!(open().await, Err(SecretError::Unknown(_))));
        let plain = Plain::new(Zeroizing::new(b"hunter2\n".to_vec())).unwrap();
        let sealed = plain.seal(&old, &name, "shop").unwrap();
        *store.0.lock().unwrap() = Some(sealed.clone());
        assert_eq!(open().await.unwrap().as_slice(), b"hunter2");
        let other = secrets.open_sealed(&name, "other").await;
        assert!(matches!(other, Err(SecretError::Seal(SealError::OtherConnection { .. }))));
        // Moved in the store to another connection: what it says of itself is not believed.
        let moved = Sealed { connection: "other".into(), ..sealed.clone() };
        *store.0.lock().unwrap() = Some(moved);
        let other = secrets.open_sealed(&name, "other").await;
        assert!(matches!(other, Err(SecretError::Seal(SealError::Changed { .. }))));
        // The key is changed under a running gateway.
        let new = key(&path);
        let wrap = old.rewrap(&sealed, &new).unwrap();
        *store.0.lock().unwrap() = Some(Sealed { wraps: vec![wrap], ..sealed.clone() });
        assert_eq!(open().await.unwrap().as_slice(), b"hunter2");
        // And where it is not the right one, that is said.
        *store.0.lock().unwrap() = Some(sealed);
        let said = open().await.unwrap_err().to_string();
        assert!(said.contains(old.id()) && said.contains(new.id()), "{said}");
    }
}
