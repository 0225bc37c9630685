//! A small OpenID provider for development, tests and the demo: discovery, key set, token
//! endpoint, log-in for people. It stands outside the life of a request; its tokens enter it by
//! the same verifier as any other provider's.
//!
//! *Architecture invariant:* it is served on loopback or not at all. [`DevProvider::bind`] is the
//! only way to one, and looks at the address it was given *and* the one it got. Whoever can reach
//! it over loopback is still nobody: each grant needs an agent's own client secret or the
//! [`DevSecret`] only the gateway's user can read, so that an agent on the same machine cannot
//! become its own reviewer.

mod http;
mod issuer;
mod login;
mod settings;

pub use issuer::DevIssuer;
pub use settings::{DevAgent, DevPerson, DevProviderSettings, DevWorkload};

use crate::random;
use portcullis_core::time::Timestamp;
use std::future::Future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

/// What keeps the development provider from starting or minting.
#[derive(Debug, thiserror::Error)]
pub enum DevProviderError {
    /// The address is reachable from elsewhere.
    #[error("the development identity provider listens on loopback only, and {0} is not")]
    NotLoopback(SocketAddr),
    /// The address cannot be bound.
    #[error("the development identity provider cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The settings do not hold together.
    #[error("development identity provider: {0}")]
    Settings(String),
    /// Nobody of that name is configured.
    #[error("nobody of that name is configured at the development identity provider")]
    UnknownName,
    /// No key, random number or signature could be made.
    #[error("the development identity provider cannot make keys or signatures")]
    Crypto,
    /// It stopped serving.
    #[error("the development identity provider stopped: {0}")]
    Serve(io::Error),
}

/// What lets the user who runs the gateway get a token for anybody configured. It is written to a
/// file only that user can read.
#[derive(Clone)]
pub struct DevSecret(Arc<Zeroizing<String>>);

impl DevSecret {
    /// A new one of 256 random bits.
    ///
    /// # Errors
    /// [`DevProviderError::Crypto`] where there are no random numbers.
    pub fn generate() -> Result<Self, DevProviderError> {
        let secret = random::token::<32>().map_err(|_| DevProviderError::Crypto)?;
        Ok(Self(Arc::new(Zeroizing::new(secret))))
    }

    /// The secret itself, for whoever sends it (`portcullis token --as`).
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Writes it to `path` with mode 0600. What is there is replaced, never written into: neither
    /// a link nor a file that somebody else has open gets to see it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write_to(&self, path: &Path) -> io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        let nonce = random::token::<9>().map_err(|_| io::Error::other("no random numbers"))?;
        name.push(format!(".{nonce}"));
        let temporary = path.with_file_name(name);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
        let written = file.write_all(self.reveal().as_bytes()).and_then(|()| file.sync_all());
        let placed = written.and_then(|()| std::fs::rename(&temporary, path));
        if placed.is_err() {
            // The error that is told is the first; a leftover is readable to its owner alone.
            let _ = std::fs::remove_file(&temporary);
        }
        placed
    }

    fn is(&self, offered: &str) -> bool {
        random::same_secret(&self.0, offered)
    }
}

impl std::fmt::Debug for DevSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DevSecret")
    }
}

/// The development provider, bound to its address.
pub struct DevProvider {
    listener: TcpListener,
    issuer: DevIssuer,
    secret: DevSecret,
}

impl DevProvider {
    /// Binds it. Nothing answers before [`DevProvider::serve`].
    ///
    /// # Errors
    /// [`DevProviderError`]; always [`DevProviderError::NotLoopback`] off loopback.
    pub async fn bind(
        settings: DevProviderSettings,
        secret: DevSecret,
    ) -> Result<Self, DevProviderError> {
        settings.validate()?;
        let wanted = settings.listen;
        let failed = |e| DevProviderError::Listen(wanted, e);
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if !address.ip().is_loopback() {
            return Err(DevProviderError::NotLoopback(address));
        }
        let issuer = DevIssuer::new(settings, format!("http://{address}"))?;
        Ok(Self { listener, issuer, secret })
    }

    /// Where it listens: with the port the system chose, if it was asked to.
    ///
    /// # Errors
    /// [`DevProviderError::Serve`] where the socket does not say.
    pub fn address(&self) -> Result<SocketAddr, DevProviderError> {
        self.listener.local_addr().map_err(DevProviderError::Serve)
    }

    /// Its mint.
    #[must_use]
    pub fn issuer(&self) -> DevIssuer {
        self.issuer.clone()
    }

    /// Serves until `until` is ready. `clock` gives the time of each token.
    ///
    /// # Errors
    /// [`DevProviderError::NotLoopback`], looked at once more, or [`DevProviderError::Serve`].
    pub async fn serve(
        self,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        until: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), DevProviderError> {
        let address = self.listener.local_addr().map_err(DevProviderError::Serve)?;
        if !address.ip().is_loopback() {
            return Err(DevProviderError::NotLoopback(address));
        }
        let router = http::router(self.issuer, self.secret, Arc::new(clock), address);
        axum::serve(self.listener, router)
            .with_graceful_shutdown(until)
            .await
            .map_err(DevProviderError::Serve)
    }
}

impl std::fmt::Debug for DevProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DevProvider").field(&self.issuer).finish()
    }
}
