//! The tokens of `portcullis login`, kept for the other commands: one for each gateway, in a file that
//! its owner alone can read.

use crate::moment::now;
use anyhow::{Context as _, bail};
use portcullis_core::time::Timestamp;
use portcullis_identity::relying::{RelyingParty, SignedIn, Tokens};
use portcullis_identity::{Provider, SignIn, Verifier, http_client};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A token that lives shorter than this is refreshed before it is given out.
const SHORT: Duration = Duration::from_secs(60);

/// All that is kept.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// The gateway of the last `login`.
    pub(super) current: Option<String>,
    pub(super) gateways: BTreeMap<String, SignedInAt>,
}

/// Somebody who has signed in for one gateway.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignedInAt {
    provider: String,
    issuer: String,
    client_id: String,
    scopes: Vec<String>,
    subject: String,
    token: String,
    refresh: Option<String>,
    since: Timestamp,
    expires: Timestamp,
}

/// A client that asks one provider.
pub(super) struct Asking {
    pub(super) party: RelyingParty,
    pub(super) verifier: Verifier,
}

impl Asking {
    /// As this public client.
    pub(super) fn new(
        (name, issuer): (&str, &str),
        client: &str,
        scopes: Vec<String>,
    ) -> anyhow::Result<Self> {
        let sign_in = SignIn { scopes, ..SignIn::public(client) };
        let provider = Provider { sign_in: Some(sign_in), ..Provider::new(name, issuer, client) };
        let party = RelyingParty::new(std::slice::from_ref(&provider), http_client)?;
        Ok(Self { party, verifier: Verifier::new(vec![provider], http_client)? })
    }
}

impl SignedInAt {
    pub(super) fn new(
        signed_in: &SignedIn,
        client: &str,
        scopes: Vec<String>,
        since: Timestamp,
    ) -> Self {
        Self {
            provider: signed_in.provider.clone(),
            issuer: signed_in.principal.issuer.clone(),
            client_id: client.to_owned(),
            scopes,
            subject: signed_in.principal.subject.clone(),
            token: signed_in.tokens.id().to_owned(),
            refresh: signed_in.tokens.refresh().map(str::to_owned),
            since,
            expires: signed_in.principal.expires,
        }
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) const fn expires(&self) -> Timestamp {
        self.expires
    }

    fn tokens(&self) -> Tokens {
        Tokens::kept(self.token.clone(), self.refresh.clone())
    }

    /// True where less than half of its life is left, or next to nothing.
    fn is_old(&self, now: Timestamp) -> bool {
        let (life, left) = (self.expires.since(self.since), self.expires.since(now));
        left < SHORT.max(life / 2)
    }

    async fn refreshed(&self) -> anyhow::Result<Self> {
        let scopes = self.scopes.clone();
        let asking = Asking::new((&self.provider, &self.issuer), &self.client_id, scopes.clone())?;
        let who = (self.issuer.as_str(), self.subject.as_str());
        let (party, since) = (&asking.party, now());
        let asked =
            party.refresh(&self.provider, &self.tokens(), who, &asking.verifier, since).await?;
        Ok(Self::new(&asked, &self.client_id, scopes, since))
    }

    /// Tells the provider that nobody will come with the refresh token.
    pub(super) async fn forget(&self) -> anyhow::Result<()> {
        let asking =
            Asking::new((&self.provider, &self.issuer), &self.client_id, self.scopes.clone())?;
        Ok(asking.party.forget(&self.provider, &self.tokens(), now()).await?)
    }
}

/// The file, and the lock that is held while it is changed.
pub(super) struct Store {
    file: PathBuf,
    _lock: File,
}

impl Store {
    /// Opens the store of whoever runs this, below `$XDG_CONFIG_HOME` or `~/.config`.
    pub(super) fn open() -> anyhow::Result<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let home = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
        let home = home.context("HOME is not set, so there is no place to keep tokens in")?;
        Self::open_in(&home.join("portcullis"))
    }

    fn open_in(directory: &Path) -> anyhow::Result<Self> {
        let context = || format!("{}", directory.display());
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .with_context(context)?;
        let mut options = File::options();
        options.create(true).append(true).mode(0o600);
        let lock = options.open(directory.join("tokens.lock")).with_context(context)?;
        lock.lock().with_context(context)?;
        Ok(Self { file: directory.join("tokens.json"), _lock: lock })
    }

    pub(super) fn read(&self) -> anyhow::Result<Kept> {
        let context = || format!("{}", self.file.display());
        let text = match fs::read(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
            Err(error) => return Err(error).with_context(context),
        };
        let mode = fs::metadata(&self.file).with_context(context)?.permissions().mode();
        if mode & 0o077 != 0 {
            bail!(
                "{}: can be read by others than its owner: chmod 600 it, and sign in again where \
                 somebody may have read it",
                self.file.display()
            );
        }
        let broken =
            || format!("{}: is not what `portcullis login` keeps: remove it", self.file.display());
        serde_json::from_slice(&text).with_context(broken)
    }

    /// Writes it whole, or not at all. A temporary file is its owner's alone.
    pub(super) fn write(&self, kept: &Kept) -> anyhow::Result<()> {
        let directory = self.file.parent().unwrap_or(Path::new("."));
        let text = serde_json::to_vec_pretty(kept)?;
        let mut new = tempfile::NamedTempFile::new_in(directory)?;
        new.write_all(&text)?;
        new.as_file().sync_all()?;
        new.persist(&self.file).with_context(|| format!("{}", self.file.display()))?;
        Ok(())
    }
}

/// The gateway of the last `portcullis login`, where there was one.
pub(super) fn current() -> anyhow::Result<Option<String>> {
    Ok(Store::open()?.read()?.current)
}

/// The token for a gateway, refreshed where that is due.
pub(super) async fn token(gateway: &str) -> anyhow::Result<String> {
    let store = Store::open()?;
    let mut kept = store.read()?;
    let Some(own) = kept.gateways.get(gateway) else {
        bail!(
            "say who you are: sign in (`portcullis login --gateway {gateway}`), or --token (or \
             PORTCULLIS_TOKEN), or --as NAME"
        );
    };
    let at = now();
    if !own.is_old(at) || own.refresh.is_none() && own.expires > at {
        return Ok(own.token().to_owned());
    }
    let again = format!("sign in again: `portcullis login --gateway {gateway}`");
    if own.refresh.is_none() {
        bail!("your token has expired, and your provider gave none to refresh it: {again}");
    }
    match own.refreshed().await {
        Ok(new) => {
            let token = new.token().to_owned();
            kept.gateways.insert(gateway.to_owned(), new);
            store.write(&kept)?;
            Ok(token)
        }
        // What is good for a while yet is good enough where the provider cannot be asked.
        Err(_) if own.expires > at.plus(SHORT) => Ok(own.token().to_owned()),
        Err(error) => bail!("your token cannot be refreshed ({error}): {again}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_kept_for_their_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a/portcullis");
        let store = Store::open_in(&place).unwrap();
        assert!(store.read().unwrap().gateways.is_empty());
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let own = SignedInAt {
            provider: "corp".into(),
            issuer: "https://corp".into(),
            client_id: "cli".into(),
            scopes: vec![],
            subject: "ana".into(),
            token: "secret".into(),
            refresh: None,
            since: at(0),
            expires: at(600),
        };
        for (moment, old) in [(0, false), (299, false), (301, true), (599, true), (700, true)] {
            assert_eq!(own.is_old(at(moment)), old, "{moment}");
        }
        let mut kept = Kept { current: Some("g".into()), ..Kept::default() };
        kept.gateways.insert("g".into(), own);
        store.write(&kept).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&store.file)), (0o700, 0o600));
        assert_eq!(store.read().unwrap().gateways["g"].token(), "secret");
        fs::set_permissions(&store.file, fs::Permissions::from_mode(0o644)).unwrap();
        let error = store.read().err().unwrap().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        fs::set_permissions(&store.file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&store.file, "{}").unwrap();
        let error = store.read().err().unwrap().to_string();
        assert!(error.contains("remove it"), "{error}");
    }
}
