//! What a listener proves itself with to clients: a certificate and key from files, or a
//! self-signed pair made for development and kept, so that clients can pin it.

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use schemars::JsonSchema;
use serde::Deserialize;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The protocol's name in TLS (registered with IANA), for `sslnegotiation=direct`.
pub(crate) const ALPN: &[u8] = b"postgresql";

/// A listener's certificate and key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file with the certificate, and those between it and its authority after it.
    pub certificate: PathBuf,
    /// PEM file with the private key. Only the gateway's user should be able to read it.
    pub key: PathBuf,
}

/// TLS as a listener offers it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ServerTls {
    pub(crate) config: Arc<ServerConfig>,
    certificate: PathBuf,
    leaf: Arc<[u8]>,
}

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: rustls_pki_types::pem::Error,
    },
    /// There is no certificate in the file.
    #[error("there is no certificate in {0}")]
    Empty(PathBuf),
    /// Certificate and key do not fit each other, or are of a kind that is not supported.
    #[error("cannot use {certificate} with its key: {error}")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        error: rustls::Error,
    },
    /// A self-signed certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// A self-signed certificate could not be kept.
    #[error("cannot keep a certificate in {path}: {error}")]
    Write {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl ServerTls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn load(settings: &TlsSettings) -> Result<Self, TlsError> {
        let path = &settings.certificate;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| TlsError::Read { path, error }
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
            .map_err(failed(path))?
            .collect::<Result<_, _>>()
            .map_err(failed(path))?;
        let Some(leaf) = chain.first().map(|leaf| Arc::from(leaf.as_ref())) else {
            return Err(TlsError::Empty(path.clone()));
        };
        let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(failed(&settings.key))?;
        let unusable = |error| TlsError::Unusable { certificate: path.clone(), error };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // No PostgreSQL client resumes TLS sessions: tickets would cost time and memory alone.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), certificate: path.clone(), leaf })
    }

    /// The self-signed pair kept in `directory`; made there the first time, for `localhost`, the
    /// loopback addresses and `names`. For development: clients pin it with
    /// `sslrootcert=DIRECTORY/server.crt`.
    ///
    /// # Errors
    /// [`TlsError`]; a pair that is there and cannot be used is never replaced.
    pub fn generated(directory: &Path, names: &[String]) -> Result<Self, TlsError> {
        let settings = TlsSettings {
            certificate: directory.join("server.crt"),
            key: directory.join("server.key"),
        };
        if !settings.certificate.exists() {
            generate(directory, names, &settings)?;
        }
        Self::load(&settings)
    }

    /// The file the certificate came from: what a client names as `sslrootcert` to pin it.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The certificate itself, without those of its authorities, in DER.
    #[must_use]
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }
}

fn generate(directory: &Path, names: &[String], to: &TlsSettings) -> Result<(), TlsError> {
    let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    all.extend(names.iter().filter(|name| !all.contains(name)).cloned().collect::<Vec<_>>());
    let mut params = CertificateParams::new(all)?;
    params.distinguished_name.push(DnType::CommonName, "portcullis (development)");
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let failed = |error| TlsError::Write { path: directory.to_owned(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    // The certificate last: where it is, its key is.
    write_anew(&to.key, 0o600, &key.serialize_pem()).map_err(failed)?;
    write_anew(&to.certificate, 0o644, &certificate.pem()).map_err(failed)
}

/// Writes a file whole or not at all, readable by nobody else from its first byte on.
fn write_anew(path: &Path, mode: u32, content: &str) -> io::Result<()> {
    let part = path.with_extension("part");
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_generated_pair_is_kept_and_its_key_is_private() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("tls");
        let first = ServerTls::generated(&directory, &["gateway.example".to_owned()]).unwrap();
        let before = std::fs::read(first.certificate()).unwrap();
        let mode = |name| std::fs::metadata(directory.join(name)).unwrap().permissions().mode();
        assert_eq!(mode("server.key") & 0o777, 0o600);
        assert_eq!(mode("") & 0o777, 0o700);
        let again = ServerTls::generated(&directory, &[]).unwrap();
        assert_eq!(std::fs::read(again.certificate()).unwrap(), before, "clients pin it");
    }

    #[test]
    fn a_broken_pair_is_told_and_never_replaced() {
        let home = tempfile::tempdir().unwrap();
        ServerTls::generated(home.path(), &[]).unwrap();
        let other = KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(home.path().join("server.key"), &other).unwrap();
        let got = ServerTls::generated(home.path(), &[]);
        assert!(matches!(got, Err(TlsError::Unusable { .. })), "{got:?}");
        std::fs::write(home.path().join("server.crt"), "").unwrap();
        let got = ServerTls::generated(home.path(), &[]);
        assert!(matches!(got, Err(TlsError::Empty(_))), "{got:?}");
        std::fs::remove_file(home.path().join("server.key")).unwrap();
        std::fs::write(home.path().join("server.crt"), "x").unwrap();
        assert!(ServerTls::generated(home.path(), &[]).is_err());
    }
}
