//! What the gateway proves itself with at a target: named in settings, opened while dialing.
//!
//! *Architecture invariant:* what is in a [`Credential`] leaves it in this crate alone. It has no
//! `Display`, no `Clone`, no serialisation, and its `Debug` says nothing.

use crate::private;
use crate::reference::{Reference, SecretName, VaultPath};
use crate::secrets::{SecretError, Secrets};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The longest password or token accepted, in bytes. Cloud access tokens reach a few thousand.
pub(crate) const LONGEST: usize = 16 * 1024;

/// A password written into the settings. Development only: prefer a file or the environment.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::reference::quoted(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl JsonSchema for Password {
    fn schema_name() -> Cow<'static, str> {
        "Password".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "writeOnly": true })
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Where a credential is found when it is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CredentialSource<'a> {
    /// Nothing is sent; only a target that asks for nothing lets us in.
    None,
    /// In the settings themselves.
    Inline(&'a Password),
    /// In an environment variable of the gateway.
    Environment(&'a str),
    /// In a file, read at every dial, so that it can be rotated.
    File(&'a Path),
    /// In the gateway's store, opened at every dial.
    Sealed(&'a SecretName),
    /// In Vault, fetched at every dial.
    Vault(&'a VaultPath),
}

impl<'a> From<&'a Reference> for CredentialSource<'a> {
    fn from(reference: &'a Reference) -> Self {
        match reference {
            Reference::Environment(name) => Self::Environment(name),
            Reference::File(path) => Self::File(path),
            Reference::Sealed(name) => Self::Sealed(name),
            Reference::Vault(place) => Self::Vault(place),
        }
    }
}

/// A password or token, opened for one log-in and wiped afterwards.
pub struct Credential(Zeroizing<Vec<u8>>);

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// A credential that cannot be had. Never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The environment variable is not set, or not UTF-8.
    #[error("environment variable {0} is not set (or is not UTF-8)")]
    Environment(String),
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Others can read the file.
    #[error(
        "{path} can be read or written by others than its owner (its mode is {mode:04o}): \
         chmod 600 it"
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// What is sealed does not open, or Vault does not give it.
    #[error(transparent)]
    Secret(#[from] Box<SecretError>),
    /// There is nothing in it.
    #[error("the credential is empty")]
    Empty,
    /// It is longer than 16 KiB.
    #[error("the credential is longer than {LONGEST} bytes")]
    TooLong,
    /// The wire form of a password ends at the first zero byte, so one inside would cut it short.
    #[error("the credential has a zero byte in it")]
    ZeroByte,
}

impl CredentialSource<'_> {
    /// Opens the credential of a connection without holding up other sessions: files may be slow (or
    /// no files). `None` where none is configured.
    pub(crate) async fn open_aside(
        self,
        connection: &str,
        secrets: &Secrets,
    ) -> Result<Option<Credential>, CredentialError> {
        let opened = match self {
            CredentialSource::Sealed(name) => secrets.open_sealed(name, connection).await,
            CredentialSource::Vault(place) => secrets.fetch(place).await,
            CredentialSource::File(path) => {
                let owned = path.to_owned();
                let opening = move || CredentialSource::File(&owned).open();
                return tokio::task::spawn_blocking(opening).await.unwrap_or_else(|error| {
                    let error = std::io::Error::other(error);
                    Err(CredentialError::File { path: path.to_owned(), error })
                });
            }
            here => return here.open(),
        };
        let bytes = opened.map_err(Box::new)?;
        Ok(Some(Credential(checked(bytes)?)))
    }

    /// Opens what is in settings, environment or files; `None` where none is configured, or where it
    /// is elsewhere.
    pub(crate) fn open(self) -> Result<Option<Credential>, CredentialError> {
        let bytes = match self {
            CredentialSource::None | CredentialSource::Sealed(_) | CredentialSource::Vault(_) => {
                return Ok(None);
            }
            CredentialSource::Inline(password) => Zeroizing::new(password.0.as_bytes().to_vec()),
            CredentialSource::Environment(name) => match std::env::var(name) {
                Ok(value) => Zeroizing::new(value.into_bytes()),
                Err(_) => return Err(CredentialError::Environment(name.to_owned())),
            },
            // With a line end behind it.
            CredentialSource::File(path) => private::read(path, LONGEST + 2)?,
        };
        Ok(Some(Credential(checked(bytes)?)))
    }
}

/// What can be a password. One line end at its end is not part of it: editors and secret mounts put
/// one there.
pub(crate) fn checked(
    mut bytes: Zeroizing<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    private::trim_line_end(&mut bytes);
    if bytes.is_empty() {
        return Err(CredentialError::Empty);
    }
    if bytes.len() > LONGEST {
        return Err(CredentialError::TooLong);
    }
    if bytes.contains(&0) {
        return Err(CredentialError::ZeroByte);
    }
    Ok(bytes)
}

impl Credential {
    /// The bytes, for a log-in message.
    pub(crate) fn reveal(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn from_file(content: &[u8]) -> Result<Vec<u8>, CredentialError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let opened = CredentialSource::File(file.path()).open()?;
        Ok(opened.unwrap().reveal().to_vec())
    }

    #[test]
    fn one_line_end_is_not_part_of_it() {
        assert_eq!(from_file(b"secret").unwrap(), b"secret");
        assert_eq!(from_file(b"secret\n").unwrap(), b"secret");
        assert_eq!(from_file(b"secret\r\n").unwrap(), b"secret");
        assert_eq!(from_file(b"secret\n\n").unwrap(), b"secret\n");
        assert_eq!(from_file(b" secret ").unwrap(), b" secret ");
    }

    #[test]
    fn what_cannot_be_a_password_is_refused() {
        assert!(matches!(from_file(b""), Err(CredentialError::Empty)));
        assert!(matches!(from_file(b"\n"), Err(CredentialError::Empty)));
        assert!(matches!(from_file(b"a\0b"), Err(CredentialError::ZeroByte)));
        assert_eq!(from_file(&[b'x'; LONGEST]).unwrap().len(), LONGEST);
        assert!(matches!(from_file(&[b'x'; LONGEST + 1]), Err(CredentialError::TooLong)));
        assert!(matches!(from_file(&[b'x'; 1 << 20]), Err(CredentialError::TooLong)));
        let missing = CredentialSource::Environment("PORTCULLIS_TEST_NOT_SET").open();
        assert!(matches!(missing, Err(CredentialError::Environment(_))));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret").unwrap();
        for (mode, good) in
            [(0o600, true), (0o400, true), (0o644, false), (0o660, false), (0o602, false)]
        {
            file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
            let opened = CredentialSource::File(file.path()).open();
            match opened {
                Err(error @ CredentialError::Exposed { .. }) if !good => {
                    let said = error.to_string();
                    assert!(said.contains(&format!("{mode:04o}")) && said.contains("chmod 600"));
                }
                Ok(_) if good => {}
                other => panic!("{mode:o}: {other:?}"),
            }
        }
    }

    #[test]
    fn debug_says_nothing() {
        let password: Password = serde_json::from_str("\"hunter2\"").unwrap();
        let credential = CredentialSource::Inline(&password).open().unwrap();
        let said = format!("{password:?} {credential:?}");
        assert_eq!(said, "Password(…) Some(Credential(…))");
    }
}
