//! The gateway's own credentials: issued for tokens others have vouched for, good for logging in to
//! one connection, and for nothing once they are revoked. First station on the life of a request, in
//! place of the token of an identity provider.
//!
//! What decides is the store. A credential it does not have, or cannot be asked about, opens nothing.

use crate::config::CredentialSettings;
use crate::rate::Rates;
use anyhow::Context as _;
use portcullis_core::id::CredentialId;
use portcullis_core::principal::Principal;
use portcullis_core::time::Timestamp;
use portcullis_identity::IdentityError;
use portcullis_identity::own::{Grant, KeyRing, LONGEST, Minted, OwnIssuer, Presented, Terms};
use portcullis_store::{CredentialError, CredentialRow, CredentialStore};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// The file of the keys, below `data_dir`.
const KEYS: &str = "keys/credentials.json";

/// How long other gateways know a key that is not told again: what it signs may live [`LONGEST`], and it
/// is told every hour.
const KNOWN: Duration = LONGEST.saturating_add(Duration::from_secs(3 * 60 * 60));

/// Everything about credentials that one gateway has.
pub(crate) struct Credentials {
    pub(crate) settings: CredentialSettings,
    /// How often each address asks for credentials, and each caller.
    pub(crate) by_address: Rates,
    pub(crate) by_caller: Rates,
    pub(crate) store: CredentialStore,
    issuer: OwnIssuer,
    file: PathBuf,
    others: OthersKeys,
}

/// A credential that opens nothing.
#[derive(Debug)]
pub(crate) struct NotAdmitted {
    /// Who would log in with it, where that is known.
    pub(crate) who: Option<Box<Principal>>,
    pub(crate) why: IdentityError,
}

impl From<IdentityError> for NotAdmitted {
    fn from(why: IdentityError) -> Self {
        Self { who: None, why }
    }
}

impl Credentials {
    /// Reads the keys below `directory`, or makes them.
    ///
    /// # Errors
    /// Keys that cannot be read, are not this program's, or that others can read.
    pub(crate) fn open(
        directory: &Path,
        store: CredentialStore,
        settings: CredentialSettings,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let file = directory.join(KEYS);
        let context = || format!("{}", file.display());
        let ring = match fs::read(&file) {
            Ok(text) => {
                let mode = fs::metadata(&file).with_context(context)?.permissions().mode();
                anyhow::ensure!(
                    mode & 0o077 == 0,
                    "{}: can be read by others than its owner: chmod 600 it",
                    file.display()
                );
                KeyRing::from_text(&text).with_context(context)?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let ring = KeyRing::generate(now)?;
                keep(&file, &ring).with_context(context)?;
                ring
            }
            Err(error) => return Err(error).with_context(context),
        };
        let credentials = Self {
            settings,
            by_address: Rates::default(),
            by_caller: Rates::default(),
            store,
            issuer: OwnIssuer::new(ring),
            file,
            others: OthersKeys::default(),
        };
        Ok(credentials)
    }

    /// Makes a new key where the one that signs is old enough. What the old one has signed stays good
    /// for as long as it would have been. Tells other gateways the public half of the one that signs.
    pub(crate) async fn rotate(&self, now: Timestamp) {
        self.renew(now);
        let keys = self.issuer.keys();
        let public = keys.public();
        let told = self.store.publish_key((keys.id(), &public), now.plus(KNOWN), now);
        if let Err(error) = told.await {
            warn!(%error, "other gateways may not know the key that signs credentials here");
        }
    }

    fn renew(&self, now: Timestamp) {
        let keys = self.issuer.keys();
        if now.since(keys.made()) < self.settings.rotate.0 {
            return;
        }
        let rotated = keys.rotated(now, LONGEST).map_err(anyhow::Error::from);
        let kept = rotated.and_then(|ring| Ok((keep(&self.file, &ring)?, ring)));
        match kept {
            Ok(((), ring)) => {
                info!(key = ring.id(), "credentials are signed with a new key");
                self.issuer.use_keys(ring);
            }
            Err(error) => {
                warn!(%error, "the key of credentials is old, and no new one can be kept")
            }
        }
    }

    /// The public keys, as a JWK set.
    pub(crate) fn key_set(&self, now: Timestamp) -> serde_json::Value {
        self.issuer.keys().key_set(now)
    }

    /// Makes the credential that a grant allows. It is good once it is kept.
    pub(crate) fn mint(&self, grant: Grant, terms: &Terms<'_>, now: Timestamp) -> Minted {
        self.issuer.mint(grant, terms, now)
    }

    /// The credential somebody logs in with; whether those who vouched for it still do is asked by
    /// [`admitted`](crate::vouching::admitted). Whoever revokes it looks in the list of sessions
    /// for those to end: a session asks once more ([`check`](Self::check)) when it is there.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    pub(crate) async fn present(
        &self,
        token: &str,
        connection: &str,
        now: Timestamp,
    ) -> Result<CredentialRow, NotAdmitted> {
        let presented = match self.issuer.read(token, now) {
            Err(IdentityError::UnknownKey { .. }) => self.of_another(token, now).await?,
            read => read?,
        };
        let row = self.find(presented.id).await?;
        if row.connection != presented.connection || row.expires != presented.expires {
            return Err(IdentityError::UnknownCredential.into());
        }
        let no = |who, why| Err(NotAdmitted { who: Some(Box::new(who)), why });
        if row.revoked.is_some() {
            return no(row.principal, IdentityError::Revoked);
        }
        if row.connection != connection {
            return no(row.principal, IdentityError::OtherConnection { bound: row.connection });
        }
        Ok(row)
    }

    /// A credential that another gateway has signed, by the key that it has told.
    async fn of_another(&self, token: &str, now: Timestamp) -> Result<Presented, IdentityError> {
        let id = OwnIssuer::key_id(token)?;
        let key = self.others.key(&id, &self.store, now).await;
        let key = key.map_err(|_| IdentityError::CredentialsUnavailable)?;
        OwnIssuer::read_by(token, key.as_deref(), now)
    }

    /// Whether a credential that was presented has been taken back since.
    ///
    /// # Errors
    /// It has, or the store cannot be asked.
    pub(crate) async fn check(&self, id: CredentialId) -> Result<(), IdentityError> {
        match self.find(id).await?.revoked {
            Some(_) => Err(IdentityError::Revoked),
            None => Ok(()),
        }
    }

    async fn find(&self, id: CredentialId) -> Result<CredentialRow, IdentityError> {
        let found = self.store.find(id).await;
        let row = found.map_err(|_| IdentityError::CredentialsUnavailable)?;
        row.ok_or(IdentityError::UnknownCredential)
    }
}

/// How often the store is asked for keys that are not known, at most: anybody may name one.
const ASK: Duration = Duration::from_secs(1);

/// The public keys of other gateways, as the store had them last.
#[derive(Default)]
struct OthersKeys {
    known: Mutex<HashMap<String, (String, Timestamp)>>,
    /// When the store was asked last; held while it is asked, for all who wait.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl OthersKeys {
    /// The key of this id, where there is one. One that is not known is asked for together with all
    /// others that are asked for within [`ASK`].
    async fn key(
        &self,
        id: &str,
        store: &CredentialStore,
        now: Timestamp,
    ) -> Result<Option<String>, CredentialError> {
        if let Some(key) = self.known(id, now) {
            return Ok(Some(key));
        }
        let came = Instant::now();
        let mut asked = self.asked.lock().await;
        if asked.is_none_or(|asked| asked < came) {
            if let Some(before) = *asked {
                tokio::time::sleep_until((before + ASK).into()).await;
            }
            *asked = Some(Instant::now());
            let keys = store.public_keys(now).await?;
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = keys;
        }
        drop(asked);
        Ok(self.known(id, now))
    }

    fn known(&self, id: &str, now: Timestamp) -> Option<String> {
        // It is replaced as a whole.
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).filter(|(_, until)| *until > now).map(|(key, _)| key.clone())
    }
}

/// Writes the keys where only the gateway can read them: whole, or not at all.
fn keep(file: &Path, ring: &KeyRing) -> anyhow::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    new.write_all(ring.to_text().as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    fs::File::open(directory)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Span;
    use crate::moment::now;
    use portcullis_store::Store;
    use std::sync::Arc;

    async fn open(directory: &Path, rotate: Duration) -> anyhow::Result<Credentials> {
        fs::create_dir_all(directory.join("keys"))?;
        let name = format!("{}.db", u64::from_ne_bytes(crate::moment::random()));
        let store = CredentialStore::new(Store::open(&directory.join(name)).await?);
        let settings = CredentialSettings { rotate: Span(rotate), ..CredentialSettings::default() };
        let credentials = Credentials::open(directory, store, settings, now())?;
        credentials.rotate(now()).await;
        Ok(credentials)
    }

    /// Anybody may name a key that nobody has, as often as they like.
    #[tokio::test(flavor = "multi_thread")]
    async fn keys_that_are_not_known_are_asked_for_together() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store.db")).await.unwrap();
        let store = CredentialStore::new(store);
        let keys = Arc::new(OthersKeys::default());
        let until = now().plus(Duration::from_secs(60));
        store.publish_key(("one", "x"), until, now()).await.unwrap();
        assert_eq!(keys.key("one", &store, now()).await.unwrap().as_deref(), Some("x"));
        let first = *keys.asked.lock().await;
        // What is known is not asked for, however many wait for what is not.
        let began = Instant::now();
        let unknown: Vec<_> = (0..200)
            .map(|number| {
                let (keys, store) = (Arc::clone(&keys), store.clone());
                tokio::spawn(async move { keys.key(&format!("{number}"), &store, now()).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(keys.key("one", &store, now()).await.unwrap().as_deref(), Some("x"));
        assert!(began.elapsed() < ASK / 2, "{:?}", began.elapsed());
        // One that comes meanwhile is found with them.
        store.publish_key(("two", "y"), until, now()).await.unwrap();
        for one in unknown {
            assert_eq!(one.await.unwrap().unwrap(), None);
        }
        let last = *keys.asked.lock().await;
        assert!(last > first && began.elapsed() < 3 * ASK, "{:?}", began.elapsed());
        assert_eq!(keys.key("two", &store, now()).await.unwrap().as_deref(), Some("y"));
        assert_eq!(*keys.asked.lock().await, last, "it was found with the others");
        // What is over is known no more.
        assert_eq!(keys.key("one", &store, until.plus(ASK)).await.unwrap(), None);
    }

    #[test]
    fn keys_are_kept_for_the_gateway_alone_and_changed_when_they_are_old() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(KEYS);
        let keys = |credentials: &Credentials| {
            let set = credentials.key_set(now());
            set["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect::<Vec<_>>()
        };
        let old = Duration::from_secs(3600);
        let first = keys(&runtime.block_on(open(directory.path(), old)).unwrap());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let again = keys(&runtime.block_on(open(directory.path(), old)).unwrap());
        assert_eq!((first.len(), &again), (1, &first));
        // Old enough: a new one signs, and the old one is known still, after a restart too.
        let rotated = keys(&runtime.block_on(open(directory.path(), Duration::ZERO)).unwrap());
        assert!(rotated.len() == 2 && rotated[0] != first[0] && rotated[1] == first[0]);
        let again = keys(&runtime.block_on(open(directory.path(), old)).unwrap());
        assert_eq!(again, rotated);
        // What others can read, or is something else, is no key.
        let no = |what: &str| {
            let error = runtime.block_on(open(directory.path(), old)).err().unwrap();
            assert!(format!("{error:#}").contains(what), "{error:#}");
        };
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        no("chmod 600");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "{}").unwrap();
        no("not a key file");
    }
}
